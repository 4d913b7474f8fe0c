"""Brush strokes: bundles of hairs along a flow field, with random color and thickness per hair."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.painting.pigments import Array

#: Unit directions (N, 2) at positions (N, 2), both as (x, y).
Flow = Callable[[Array], Array]

_SHIFT = 4  # positions are rounded to sixteenths of a pixel, so that they do not depend on the last bits of a sine
_STEP = 3.0  # pixels between two points of the center line of a stroke
_POINTS = 7  # per hair


@dataclass(frozen=True, kw_only=True)
class Brush:
    """Parameters of a brush.

    Args:
        width: width of a stroke in pixels.
        length: length of a stroke in pixels, varied by a factor of 0.6 to 1.4.
        hair: width of a hair in pixels.
        uneven: relative variation of brightness between the hairs of a stroke.
        unmixed: variation of the RGB values within a stroke, in gray levels.
        dry: fraction of the length over which hairs end.
    """

    width: float
    length: float
    hair: int
    uneven: float = 0.16
    unmixed: float = 14.0
    dry: float = 0.3


class Canvas:
    """Color and thickness of the paint.

    Args:
        width: in pixels.
        height: in pixels.
        ground: RGB of the empty canvas.
    """

    def __init__(self, width: int, height: int, ground: tuple[int, int, int]) -> None:
        self.paint = np.zeros((height, width, 4), np.uint8)  # RGB and thickness
        self.paint[:] = (*ground, 60)

    def strokes(self, rng: np.random.Generator, positions: Array, colors: Array, flow: Flow, brush: Brush) -> None:
        """Draws strokes one after the other.

        Args:
            rng: random generator.
            positions: (N, 2) centers of the strokes, as (x, y).
            colors: (N, 3) RGB, 0 to 255.
            flow: direction of the strokes.
            brush: parameters.
        """
        lines = _trace_flow(positions, flow, max(2, round(brush.length * 1.4 / _STEP / 2)))
        lengths = brush.length * (0.6 + 0.8 * rng.random(len(positions)))
        hairs = max(3, round(brush.width / brush.hair * 1.3))
        drawn = rng.random((len(positions), hairs, 6))
        points = np.rint(_hair_paths(lines, lengths, drawn, brush) * 2**_SHIFT).astype(np.int32)
        inks = self._hair_colors(rng, colors, drawn, brush)
        widths = np.rint(brush.hair * (0.7 + 0.9 * drawn[..., 5])).astype(np.int64).clip(1)
        for stroke, ink, width in zip(points, inks.tolist(), widths.tolist(), strict=True):
            for hair in range(hairs):  # from one edge of the brush to the other
                cv2.polylines(self.paint, [stroke[hair]], False, ink[hair], width[hair], cv2.LINE_AA, _SHIFT)

    def _hair_colors(self, rng: np.random.Generator, colors: Array, drawn: Array, brush: Brush) -> Array:
        """Color and thickness of every hair: (N, hairs, 4), integers."""
        light = 1 + brush.uneven * (2 * drawn[..., 2] - 1)
        stray = brush.unmixed * (2 * rng.random((len(colors), 1, 3)) - 1) * (2 * drawn[..., 3, None] - 0.6)
        mixed = np.clip(colors[:, None] * light[..., None] + stray, 0, 255)
        middle = 1 - np.abs(np.linspace(-0.5, 0.5, drawn.shape[1]))
        thick = 70 + 170 * drawn[..., 4] * middle
        return np.asarray(np.rint(np.concatenate([mixed, thick[..., None]], axis=2)))


def horizontal(positions: Array) -> Array:
    """Horizontal flow."""
    return np.broadcast_to(np.array([1.0, 0.0]), positions.shape)


def vertical(positions: Array) -> Array:
    """Vertical flow."""
    return np.broadcast_to(np.array([0.0, -1.0]), positions.shape)


def _hair_paths(lines: Array, lengths: Array, drawn: Array, brush: Brush) -> Array:
    """Paths of the hairs of strokes.

    Args:
        lines: (N, L, 2) center lines, points ``_STEP`` apart.
        lengths: (N,) lengths of the strokes in pixels.
        drawn: (N, hairs, 6) random numbers in [0, 1].
        brush: parameters.

    Returns:
        (N, hairs, ``_POINTS``, 2).
    """
    number, points, _ = lines.shape
    tangent = np.gradient(lines, axis=1)
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], axis=2)
    normal /= np.hypot(normal[..., 0], normal[..., 1])[..., None].clip(1e-9)
    reach = (lengths / _STEP / 2)[:, None]
    first = -reach * (1 - 0.25 * drawn[..., 0])
    last = reach * (1 - brush.dry * drawn[..., 1])
    along = np.linspace(0, 1, _POINTS)
    place = np.clip(points // 2 + first[..., None] + (last - first)[..., None] * along, 0, points - 1.001)
    left = place.astype(np.int64)
    share, row = (place - left)[..., None], np.arange(number)[:, None, None]
    # narrower at both ends, more so where the stroke ends
    press = 1 - 0.55 * (2 * along - 1) ** 4 - 0.24 * along
    across = np.linspace(-0.5, 0.5, drawn.shape[1])[None, :, None] * press * brush.width
    middle = lines[row, left] * (1 - share) + lines[row, left + 1] * share
    return np.asarray(middle + normal[row, left] * across[..., None])


def _trace_flow(positions: Array, flow: Flow, reach: int) -> Array:
    """Follows the flow from each position in both directions: (N, 2 * reach + 1, 2)."""
    ways = []
    for sense in (-1.0, 1.0):
        at, way = positions, []
        for _ in range(reach):
            at = at + sense * _STEP * flow(at)
            way.append(at)
        ways.append(np.stack(way, axis=1))
    return np.concatenate([ways[0][:, ::-1], positions[:, None], ways[1]], axis=1)


def shade_relief(paint: NDArray[np.uint8], strength: int) -> NDArray[np.uint8]:
    """Shades the relief of the paint with light from the upper left.

    Args:
        paint: (H, W, 4) uint8, RGB and thickness.
        strength: strength of the shading, about 10. All arithmetic is on integers, so the result is the same on every
            machine.

    Returns:
        (H, W, 3) uint8.
    """
    thick = np.pad(paint[..., 3].astype(np.int32), 2, mode="edge")
    rows = thick[:-2] + thick[1:-1] + thick[2:]
    soft = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]  # 9 times the mean of the neighbours
    slope = (soft[2:, 2:] - soft[:-2, :-2]) + (soft[2:, 1:-1] - soft[:-2, 1:-1])
    light = np.clip(slope * strength // 180, -46, 52)[..., None]
    color = paint[..., :3].astype(np.int32)
    # shadows scale the color; light is added to it
    lit = np.where(light < 0, color * (128 + light) // 128, color + light * 3 // 4)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)
