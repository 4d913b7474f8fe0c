"""Regions of annotations are drawn as pycocotools draws them, and as labelme's converters do."""

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.annotations.annotation_set import Region, RegionError
from datamodules.annotations.bitmaps import LabelmeMask
from datamodules.annotations.polygons import Ellipse, LabelmeShape, Polygons
from datamodules.annotations.run_lengths import CocoRunLengths, CvatRunLengths, decode_counts
from tests.helpers.tiny_images import disc

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
SIZE = (60, 80)


def drawn(region: Region, height: int = SIZE[0], width: int = SIZE[1]) -> NDArray[np.bool_]:
    top, left, pixels = region.draw(height, width)
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return mask


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("seed", range(8))
def test_polygons_equal_pycocotools_up_to_its_rounding(seed: int) -> None:
    """pycocotools rounds coordinates to fifths of a pixel, so pixels on the outline may differ."""
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    draw = np.random.default_rng(seed)
    angles = np.sort(draw.uniform(0, 2 * np.pi, 30))
    ring = np.stack([40 + 30 * np.cos(angles), 30 + 25 * np.sin(angles)], axis=1).ravel().tolist()
    expected = coco.decode(coco.merge(coco.frPyObjects([ring], *SIZE))).astype(bool)
    found = drawn(Polygons([ring]))
    assert iou(found, expected) > 0.98
    assert abs(int(found.sum()) - int(expected.sum())) < 0.01 * expected.sum()


def test_polygon_by_hand() -> None:
    """A square from (1, 1) to (3, 3) covers the four pixels 1 and 2; one that is smaller than half a pixel none."""
    assert np.argwhere(drawn(Polygons([[1, 1, 3, 1, 3, 3, 1, 3]]), 5, 5)).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert not drawn(Polygons([[1, 1, 1.4, 1, 1.4, 1.4, 1, 1.4]]), 5, 5).any()
    triangle = drawn(Polygons([[0, 0, 4, 0, 0, 4]]), 4, 4)  # centers with x + y < 4
    np.testing.assert_array_equal(triangle, [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])


def test_two_rings_are_a_union_and_a_cut_makes_a_hole() -> None:
    both = drawn(Polygons([[0, 0, 2, 0, 2, 2, 0, 2], [1, 0, 4, 0, 4, 2, 1, 2]]), 3, 5)
    assert both[:2].tolist() == [[True] * 4 + [False]] * 2
    hole = [0, 0, 5, 0, 5, 5, 0, 5, 0, 0, 2, 2, 2, 3, 3, 3, 3, 2, 2, 2]
    assert np.argwhere(~drawn(Polygons([hole]), 5, 5)).tolist() == [[2, 2]]


def test_polygons_outside_are_cut_off() -> None:
    assert drawn(Polygons([[-50, -50, 500, -50, 500, 500, -50, 500]])).all()
    assert not drawn(Polygons([[200, 200, 210, 200, 210, 210]])).any()


def test_labelme_polygon_by_hand() -> None:
    """labelme truncates the points to pixels and includes the outline: (1.9, 1.9) is the pixel (1, 1)."""
    mask = drawn(LabelmeShape("polygon", [[1.9, 1.9], [3.2, 1.0], [3.9, 3.9], [1.0, 3.0]]), 5, 5)
    assert np.argwhere(mask).tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]


def test_labelme_rectangle_and_circle_by_hand() -> None:
    box = drawn(LabelmeShape("rectangle", [[3, 2], [1, 0]]), 5, 5)
    assert np.argwhere(box).tolist() == [[r, c] for r in (0, 1, 2) for c in (1, 2, 3)]
    circle = drawn(LabelmeShape("circle", [[2, 2], [2, 4]]), 5, 5)
    np.testing.assert_array_equal(circle, circle.T)
    assert circle[2].all()
    assert not circle[0, 0]


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths_equal_pycocotools(compressed: bool) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    for seed in range(20):
        mask = np.random.default_rng(seed).random((31, 57)) < (seed + 1) / 22
        runs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts: str | list[int] = runs["counts"].decode()
        if not compressed:
            flat = np.concatenate([[False], mask.T.ravel(), [False]]).astype(np.int8)
            edges = np.flatnonzero(np.diff(flat))
            counts = np.diff(np.concatenate([[0], edges, [mask.size]])).tolist()
        np.testing.assert_array_equal(drawn(CocoRunLengths(counts, [31, 57]), 31, 57), mask)


def test_long_runs_equal_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    mask = np.zeros((3000, 2000), np.uint8, order="F")
    mask[:, 900:1100] = 1
    mask[5, 3] = 1
    runs = coco.encode(mask)
    np.testing.assert_array_equal(drawn(CocoRunLengths(runs["counts"].decode(), [3000, 2000]), 3000, 2000), mask)


def test_cvat_run_lengths_go_along_rows() -> None:
    mask = drawn(CvatRunLengths([1, 2, 1, 2], (2, 1, 3, 2)), 4, 6)
    assert np.argwhere(mask).tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]


def test_rotated_box() -> None:
    """A box of 6 x 2 that is turned by a right angle is 2 x 6."""
    mask = drawn(Ellipse((10, 10), (3, 1), 90.0, box=True), 20, 20)
    assert np.argwhere(mask).tolist() == [[r, c] for r in range(7, 13) for c in (9, 10)]


def test_labelme_mask() -> None:
    part = disc(3, 30, 35)
    buffer = io.BytesIO()
    Image.fromarray(part * np.uint8(255)).convert("1").save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    mask = drawn(LabelmeMask([[10, 5], [44, 34]], text))
    np.testing.assert_array_equal(mask[5:35, 10:45], part)
    assert mask.sum() == part.sum()


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        (Polygons([[0, 0, 1, 1]]), "polygon of 2 points"),
        (Polygons([[0, 0, 1, 1, 2]]), "no pairs"),
        (Polygons([[0, 0, 1, 1, 2, "x"]]), "not all numbers"),
        (Polygons([[0, 0, 1, 1, 2, float("nan")]]), "far outside"),
        (Polygons([[0, 0, 1, 1, 2, 1e300]]), "far outside"),
        (Polygons([]), "no polygon"),
        (LabelmeShape("circle", [[0, 0], [1, 1], [2, 2]]), "circle of 3 points"),
        (CocoRunLengths([1, 2], [60, 81]), "for the size"),
        (CocoRunLengths([1, 2], [60, 80]), "add up to 3 pixels instead of 4800"),
        (CocoRunLengths([-1, 4801], [60, 80]), "whole numbers"),
        (CocoRunLengths("0\x7f", [60, 80]), "other characters"),
        (CocoRunLengths("P", [60, 80]), "end within"),
        (CocoRunLengths("ooooooooo0", [60, 80]), "too large"),
        (CvatRunLengths([4], (0, 0, 10**9, 10**9)), "in an image of 80 x 60"),
        (CvatRunLengths([4], (79, 0, 2, 2)), "reaches out"),
        (LabelmeMask([[0, 0], [3, 3]], "bm8gUE5H"), "no PNG"),
        (LabelmeMask([[0, 0], [300, 3]], ""), "reaches out"),
    ],
)
def test_malformed_regions_give_a_reason(region: Region, reason: str) -> None:
    with pytest.raises(RegionError, match=reason):
        region.draw(*SIZE)


def test_counts_below_zero_are_refused() -> None:
    with pytest.raises(RegionError, match="below 0"):
        decode_counts("O")  # -1
