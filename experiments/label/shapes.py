"""The pixels that a tool covers: brush strokes, polygons, islands and holes. Pure functions on arrays."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Point = tuple[float, float]  # x, y in pixels; (0, 0) is the corner of the first pixel

_SHIFT = 4  # fractional bits of OpenCV's coordinates
_RIGHT_ANGLES = 4


def stroke_pixels(size: tuple[int, int], points: Sequence[Point], radius: float) -> Mask:
    """Returns the pixels within ``radius`` of the line through ``points``.

    Args:
        size: height and width.
        points: at least one; a single point is a disc.
        radius: in pixels.
    """
    canvas = np.zeros(size, np.uint8)
    if radius <= 0.5:
        fixed = _fixed(points)
        cv2.polylines(canvas, [fixed], isClosed=False, color=1, thickness=1, shift=_SHIFT)
        return canvas.astype(bool)
    reach = max(1, round(2 * radius))
    cv2.polylines(canvas, [_fixed(points)], isClosed=False, color=1, thickness=reach, shift=_SHIFT)
    for point in _fixed(points):
        center = (int(point[0]), int(point[1]))
        cv2.circle(canvas, center, round(radius * (1 << _SHIFT)), 1, thickness=-1, shift=_SHIFT)
    return canvas.astype(bool)


def polygon_pixels(size: tuple[int, int], points: Sequence[Point]) -> Mask:
    """Returns the pixels inside a closed polygon, its outline included."""
    canvas = np.zeros(size, np.uint8)
    cv2.fillPoly(canvas, [_fixed(points)], color=1, shift=_SHIFT)
    return canvas.astype(bool)


def island_at(mask: Mask, point: Point) -> Mask:
    """Returns the connected region of ``mask`` that contains a point; empty if the point lies outside of it."""
    column, row = int(point[0]), int(point[1])
    if not (0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]):
        return np.zeros_like(mask)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=_RIGHT_ANGLES)
    return np.asarray(labels == labels[row, column])


def holes(mask: Mask) -> Mask:
    """Returns the pixels outside ``mask`` that it encloses: no path of outside pixels leads to the image's border."""
    padded = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(padded, None, (0, 0), 0, flags=_RIGHT_ANGLES)
    return padded[1:-1, 1:-1].astype(bool)


def touching(mask: Mask, seed: Mask) -> Mask:
    """Returns the connected regions of ``mask`` that contain a pixel of ``seed``."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=_RIGHT_ANGLES)
    kept = np.unique(labels[seed & mask])
    return np.isin(labels, kept[kept > 0])


def _fixed(points: Sequence[Point]) -> NDArray[np.int32]:
    """Fixed-point coordinates; OpenCV's integers are the centers of pixels."""
    return np.rint((np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT)).astype(np.int32)
