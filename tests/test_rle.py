"""Run lengths against a worked example, a reference decoder and pycocotools."""

import numpy as np
import pytest

from datamodules.io.rle import encode_rle
from tests.helpers.rle import decode_rle


def test_kaggle_worked_example() -> None:
    mask = np.zeros((3, 5), np.uint8)
    mask[0, :3] = 1  # pixels 1, 2, 3
    mask[1, 4] = 1  # pixel 10
    mask[2, :4] = 1  # pixels 11 to 14, one run with 10 across the end of the row
    assert encode_rle(mask) == "1 3 10 5"


@pytest.mark.parametrize("value", [1, 255])
def test_empty_full_and_last_pixel(value: int) -> None:
    assert encode_rle(np.zeros((2, 3), np.uint8)) == ""
    assert encode_rle(np.full((2, 3), value, np.uint8)) == "1 6"
    last = np.zeros((2, 3), np.uint8)
    last[1, 2] = value
    assert encode_rle(last) == "6 1"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
def test_reference_decoder_restores_the_mask(seed: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, 2)
    mask = (rng.random((height, width)) < rng.random()).astype(dtype)
    np.testing.assert_array_equal(decode_rle(encode_rle(mask), height, width), mask)


def test_non_contiguous_mask_is_numbered_by_rows() -> None:
    mask = np.arange(12).reshape(3, 4).T % 5 == 0  # not contiguous
    np.testing.assert_array_equal(decode_rle(encode_rle(mask), 4, 3), mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools under numpy 2
def test_pycocotools_decodes_the_same_mask() -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    mask = np.random.default_rng(7).random((31, 17)) < 0.4
    # COCO counts down the columns and gives lengths of background and foreground in turn, so the image
    # is handed over on its side and the starts become gaps.
    numbers = [int(word) for word in encode_rle(mask).split()]
    counts, end = [], 0
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        counts += [start - 1 - end, length]
        end = start - 1 + length
    runs = coco.frPyObjects({"size": [17, 31], "counts": [*counts, mask.size - end]}, 17, 31)
    np.testing.assert_array_equal(coco.decode(runs).T, mask)
