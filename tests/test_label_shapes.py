"""Strokes, polygons, islands and holes cover the pixels that other libraries say."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, distance_transform_edt
from scipy.ndimage import label as label_regions
from skimage.draw import polygon2mask

from experiments.label.shapes import holes, island_at, polygon_pixels, stroke_pixels, touching


@pytest.mark.parametrize("radius", [3.0, 7.5, 20.0])
def test_stroke_is_what_lies_within_its_radius(radius: float) -> None:
    points = [(20.5, 30.5), (60.5, 30.5), (60.5, 60.5)]
    covered = stroke_pixels((100, 100), points, radius)
    line = np.ones((100, 100), bool)
    line[30, 20:61] = line[30:61, 60] = False
    distance = distance_transform_edt(line)
    assert covered[distance <= radius - 1].all()
    assert not covered[distance > radius + 1].any()


def test_single_point_is_a_disc() -> None:
    covered = stroke_pixels((40, 40), [(20.5, 20.5)], 8)
    assert abs(int(covered.sum()) - np.pi * 64) < 20


def test_stroke_outside_covers_nothing() -> None:
    assert not stroke_pixels((20, 20), [(-90.0, -90.0), (-50.0, -50.0)], 5).any()


def test_polygon_is_that_of_scikit_image() -> None:
    corners = [(10.0, 5.0), (80.0, 20.0), (50.0, 70.0), (40.0, 30.0)]
    ours = polygon_pixels((90, 90), corners)
    theirs = polygon2mask((90, 90), [(y - 0.5, x - 0.5) for x, y in corners])
    outline = distance_transform_edt(~theirs) <= 2  # the outline belongs to ours; at an acute corner it reaches farther
    assert ours[theirs].mean() > 0.99
    assert not ours[~outline & ~theirs].any()


def test_island_is_the_connected_region_of_scipy() -> None:
    mask = np.random.default_rng(0).random((60, 60)) > 0.45
    regions, _ = label_regions(mask)
    row, column = np.argwhere(mask)[50]
    assert np.array_equal(island_at(mask, (column + 0.5, row + 0.5)), regions == regions[row, column])
    outside = np.argwhere(~mask)[0]
    assert not island_at(mask, (outside[1] + 0.5, outside[0] + 0.5)).any()
    assert not island_at(mask, (-3.0, 500.0)).any()


def test_holes_are_those_of_scipy() -> None:
    mask = np.random.default_rng(1).random((60, 60)) > 0.4
    assert np.array_equal(holes(mask), binary_fill_holes(mask) & ~mask)


def test_touching_keeps_regions_with_a_seed() -> None:
    mask = np.random.default_rng(2).random((60, 60)) > 0.5
    seed = np.zeros_like(mask)
    seed[10:13, 10:40] = True
    regions, _ = label_regions(mask)
    kept = set(np.unique(regions[seed])) - {0}
    assert np.array_equal(touching(mask, seed), np.isin(regions, list(kept)))
