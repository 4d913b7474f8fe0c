"""Outlines of the regions of a mask as polygons, simplified to one pixel."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Draws one polygon ``(N, 2)`` of x and y into an image of a height and width.
Draw = Callable[[Points, int, int], Mask]

#: Tolerances of the simplification in pixels, tried in this order.
_TOLERANCES = (1.0, 0.5, 0.25, 0.0)
_WANTED_IOU = 0.99


def find_outlines(mask: Mask, draw: Draw, *, on_pixels: bool) -> list[Points]:
    """Finds one polygon for each connected region (8 neighbors).

    Outlines are simplified (Douglas and Peucker 1973) by at most one pixel, and less where the polygon would otherwise
    overlap with the region by less than 0.99 (IoU), as for small or thin regions. Holes are joined to the outline by a
    cut, because few formats know polygons with holes.

    Args:
        mask: ``(H, W)``.
        draw: draws a polygon as readers of the format do.
        on_pixels: whether the outline runs through the centers of the outermost pixels, for formats whose readers
            include the outline; else it runs between the pixels inside and outside.

    Returns:
        Points ``(N, 2)`` of x and y of each region; the first pixel reaches from 0 to 1.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    polygons = []
    for number in range(1, count):
        left, top, width, height = (int(value) for value in stats[number, :4])
        region = np.pad(labels[top : top + height, left : left + width] == number, 1)
        polygons.append(_outline(region, draw, on_pixels=on_pixels) + np.array([left - 1, top - 1]))
    return polygons


def _outline(region: Mask, draw: Draw, *, on_pixels: bool) -> Points:
    """The polygon of one region that does not touch the border of its array."""
    rings = [_contour(ring, region, on_pixels=on_pixels) for ring in _contours(region)]
    polygon = rings[0]
    for tolerance in _TOLERANCES:
        polygon = _join([_simplify(ring, tolerance) for ring in rings])
        if len(polygon) < 3:
            polygon = np.concatenate([polygon, np.repeat(polygon[-1:], 3 - len(polygon), axis=0)])
        drawn = draw(polygon, *region.shape)
        if (drawn & region).sum() >= _WANTED_IOU * (drawn | region).sum():
            break
    return polygon


def _contours(region: Mask) -> list[Points]:
    """Rows and columns of the contours between the pixels inside and outside, the outer one first."""
    from skimage.measure import find_contours  # takes a second, and few outputs have outlines

    rings = [ring[:-1] for ring in find_contours(region.astype(np.float32), 0.5, fully_connected="high")]
    return sorted(rings, key=lambda ring: -float(np.ptp(ring[:, 0]) * np.ptp(ring[:, 1])))


def _contour(ring: Points, region: Mask, *, on_pixels: bool) -> Points:
    """Converts a contour to x and y, where the center of the first pixel is at 0.5."""
    if on_pixels:
        low, high = np.floor(ring).astype(np.int64), np.ceil(ring).astype(np.int64)
        inside = region[low[:, 0], low[:, 1]]
        ring = np.where(inside[:, None], low, high).astype(np.float64)
        ring = ring[np.append(True, (ring[1:] != ring[:-1]).any(axis=1))]
    return ring[:, ::-1] + 0.5


def _simplify(ring: Points, tolerance: float) -> Points:
    if tolerance == 0 or len(ring) < 4:
        return ring
    return np.asarray(cv2.approxPolyDP(ring.astype(np.float32)[:, None], tolerance, True)[:, 0], np.float64)


def _join(rings: list[Points]) -> Points:
    """Joins holes to the outline by cuts between the nearest points."""
    polygon, *holes = rings
    for hole in holes:
        distances = ((polygon[:, None] - hole[None]) ** 2).sum(axis=2)
        at, start = np.unravel_index(int(distances.argmin()), distances.shape)
        around = np.concatenate([hole[start:], hole[: start + 1]])
        polygon = np.concatenate([polygon[: at + 1], around, polygon[at:]])
    return polygon
