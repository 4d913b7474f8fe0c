"""Polygons as regions: filled by the centers of the pixels, or as labelme's converters draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from datamodules.annotations.annotation_set import Patch, RegionError

_LARGEST = 1e6  # coordinate in pixels; beyond it a polygon is malformed
_MAX_POINTS = 1_000_000
_CHUNK = 1 << 22  # crossings of edges and rows that are in memory at once

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Polygons:
    """The union of polygons, as COCO stores an object in several parts.

    Coordinates are continuous: the first pixel reaches from 0 to 1, its center is at 0.5. A pixel belongs to a polygon
    if its center is inside by the even-odd rule, so a hole can be joined to the outline by a cut.

    Args:
        rings: flat coordinates ``x, y, x, y ...`` of each polygon, as stored.
        scale: factors for x and y; ``None`` for coordinates in pixels, ``(1, 1)`` for fractions of the image's size.
    """

    rings: Sequence[object]
    scale: tuple[float, float] | None = None

    def draw(self, height: int, width: int) -> Patch:
        """Fills the polygons.

        Raises:
            RegionError: for fewer than three points, or coordinates that are no numbers or far outside.
        """
        factor = (1.0, 1.0) if self.scale is None else (width * self.scale[0], height * self.scale[1])
        rings = [read_points(ring) * np.array(factor) for ring in self.rings]
        if not rings:
            raise RegionError("has no polygon")
        return fill_polygons(rings, height, width)


@dataclass(frozen=True)
class LabelmeShape:
    """A polygon, rectangle or circle of labelme, drawn as ``labelme.utils.shape_to_mask`` does.

    Points are truncated to pixels, and the outline belongs to the region.

    Args:
        kind: ``polygon``, ``rectangle`` or ``circle``.
        points: pairs of coordinates, as stored.
    """

    kind: str
    points: object

    def draw(self, height: int, width: int) -> Patch:
        """Draws the shape with Pillow.

        Raises:
            RegionError: if the number of points does not fit the kind.
        """
        points = read_points(self.points, minimum=3 if self.kind == "polygon" else 2)
        if self.kind != "polygon" and len(points) != 2:
            raise RegionError(f"{self.kind} of {len(points)} points instead of 2")
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        if self.kind == "polygon":
            draw.polygon([(x, y) for x, y in points.tolist()], outline=1, fill=1)
        elif self.kind == "rectangle":
            (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
            draw.rectangle((left, top, right, bottom), outline=1, fill=1)
        else:
            (x, y), (edge_x, edge_y) = points
            radius = math.hypot(edge_x - x, edge_y - y)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
        return crop(np.asarray(canvas, np.bool_))


@dataclass(frozen=True)
class Ellipse:
    """An ellipse or a rectangle that is rotated around its center.

    Args:
        center: x and y.
        radius: half its width and half its height.
        rotation: in degrees, clockwise on the screen.
        box: whether it is a rectangle.
    """

    center: tuple[float, float]
    radius: tuple[float, float]
    rotation: float = 0.0
    box: bool = False

    def draw(self, height: int, width: int) -> Patch:
        """Fills it by the centers of the pixels.

        Raises:
            RegionError: if a number is malformed.
        """
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64)
        turns = np.linspace(0, 2 * np.pi, 256, endpoint=False)
        unit = corners if self.box else np.stack([np.cos(turns), np.sin(turns)], axis=1)
        angle = math.radians(self.rotation)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        ring = (unit * np.array(self.radius)) @ turn + np.array(self.center)
        return fill_polygons([read_points(ring.tolist())], height, width)


def read_points(stored: object, *, minimum: int = 3) -> Points:
    """Converts flat coordinates, or pairs of them, to an array ``(N, 2)`` of x and y.

    Raises:
        RegionError: for fewer than ``minimum`` points, or coordinates that are no numbers or far outside.
    """
    if not isinstance(stored, list) or len(stored) > 2 * _MAX_POINTS:
        raise RegionError("its points are no list" if not isinstance(stored, list) else "has too many points")
    try:
        points = np.array(stored, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RegionError("its points are not all numbers") from error
    if points.ndim == 1 and len(points) % 2 == 0:
        points = points.reshape(-1, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise RegionError("its points are no pairs of coordinates")
    if len(points) < minimum:
        raise RegionError(f"polygon of {len(points)} points" if minimum > 2 else f"shape of {len(points)} points")
    if not (np.abs(points) < _LARGEST).all():  # this form refuses nan too
        raise RegionError("its points lie far outside of the image")
    return points


def fill_polygons(rings: Sequence[Points], height: int, width: int) -> Patch:
    """Fills the union of polygons in an image.

    Args:
        rings: points ``(N, 2)`` of each, x and y in pixels.
        height: of the image.
        width: of the image.
    """
    low = np.floor(np.min([ring.min(axis=0) for ring in rings], axis=0))
    high = np.ceil(np.max([ring.max(axis=0) for ring in rings], axis=0))
    left, top = (int(value) for value in np.clip(low, 0, (width, height)))
    right, bottom = (int(value) for value in np.clip(high, 0, (width, height)))
    size = max(0, bottom - top), max(0, right - left)
    pixels = np.zeros(size, np.bool_)
    if 0 not in size:
        for ring in rings:
            pixels |= _fill(ring - (left, top), *size)
    return Patch(top, left, pixels)


def crop(pixels: NDArray[np.bool_]) -> Patch:
    """The smallest patch that holds all pixels of a region ``(H, W)``."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return Patch(0, 0, np.zeros((0, 0), np.bool_))
    top, left = int(rows[0]), int(columns[0])
    return Patch(top, left, pixels[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])


def _fill(ring: Points, height: int, width: int) -> NDArray[np.bool_]:
    """Even-odd: every edge toggles the pixels of a row whose centers lie to the right of it."""
    start, end = ring, np.roll(ring, -1, axis=0)
    downward = start[:, 1] <= end[:, 1]
    upper, lower = np.where(downward[:, None], start, end), np.where(downward[:, None], end, start)
    first, last = (np.clip(np.ceil(edge[:, 1] - 0.5), 0, height).astype(np.int64) for edge in (upper, lower))
    toggles = np.zeros((height, width + 1), np.uint8)  # counts modulo 256, of which the parity is used
    rows = last - first
    step = max(1, _CHUNK // height)
    for begin in range(0, len(ring), step):
        part = slice(begin, begin + step)
        edge = np.repeat(np.arange(len(ring))[part], rows[part])
        offset = np.cumsum(rows[part]) - rows[part]
        row = np.arange(len(edge)) - np.repeat(offset, rows[part]) + first[edge]
        (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
        x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(toggles, (row, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)), 1)
    parity: NDArray[np.uint8] = np.bitwise_xor.accumulate(toggles & 1, axis=1)
    return parity[:, :width].astype(np.bool_)
