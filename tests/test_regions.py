"""Cleaning of masks by their regions, on masks that were worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.morphology import label

from callbacks.prediction.matting import follow_mask
from callbacks.prediction.regions import Cleaning
from experiments.cli.usage import UsageError
from experiments.tasks.segment_outputs import make_cleaning

MASK = np.array(
    [
        [1, 1, 1, 0, 0, 2],
        [1, 0, 1, 0, 0, 0],
        [1, 1, 1, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
        [2, 2, 0, 0, 0, 0],
    ],
    np.uint8,
)


def changed(**options: int | bool | None) -> list[list[int]]:
    """The pixels that are changed, with their new values."""
    cleaned = Cleaning(**options).apply(MASK)  # type: ignore[arg-type]
    return [[int(r), int(c), int(cleaned[r, c])] for r, c in np.argwhere(cleaned != MASK)]


def test_by_hand() -> None:
    assert changed() == []
    assert changed(min_area=2) == [[0, 5, 0]]
    assert changed(min_area=3) == [[0, 5, 0], [2, 4, 0], [3, 5, 0], [4, 0, 0], [4, 1, 0]]
    assert changed(largest=1) == [[0, 5, 0], [2, 4, 0], [3, 5, 0]]
    assert changed(largest=2) == []
    assert changed(fill_holes=True) == [[1, 1, 1]]


def test_without_background_pixels_go_to_the_nearest_class() -> None:
    classes = np.zeros((5, 7), np.uint8)
    classes[:, 4:], classes[2, 5], classes[2, 1] = 1, 2, 1
    expected = np.zeros_like(classes)
    expected[:, 4:] = 1
    np.testing.assert_array_equal(Cleaning(min_area=2, background=None).apply(classes), expected)


@pytest.mark.parametrize("seed", range(5))
def test_regions_are_those_of_scikit_image(seed: int) -> None:
    mask: NDArray[np.uint8] = (np.random.default_rng(seed).random((60, 70)) < 0.3).astype(np.uint8)
    labels = label(mask, connectivity=2)
    areas = np.bincount(labels.ravel())
    expected = (areas >= 6)[labels] & (mask > 0)
    np.testing.assert_array_equal(Cleaning(min_area=6).apply(mask) > 0, expected)
    largest = Cleaning(largest=1).apply(mask)
    assert largest.sum() == areas[1:].max()


def test_opacity_follows_the_mask() -> None:
    alpha = np.zeros((9, 30), np.float32)
    alpha[2:7, 2:9], alpha[4, 5], alpha[2:7, 20:25], alpha[3, 9] = 1, 0.1, 1, 0.3
    before = alpha >= 0.5
    after = before.copy()
    after[:, 15:], after[4, 5] = False, True
    followed = follow_mask(alpha, before, after, margin=1.0)
    assert not followed[:, 15:].any()
    assert followed[4, 5] == 1
    assert followed[3, 9] == np.float32(0.3)


def test_options_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="--min_area must be 0 or more"):
        make_cleaning(("dog",), min_area=-1, largest=0, fill_holes=False)
    with pytest.raises(UsageError, match="--fill_holes is for masks with background"):
        make_cleaning(("sky", "road"), min_area=0, largest=0, fill_holes=True)
    assert make_cleaning(("sky", "Background"), min_area=0, largest=0, fill_holes=True).background == 1
