"""What every spot of a car looks like: paint, glass, lamps and gaps, drawn flat into one image, the atlas."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.curves import Array

WIDTH, HEIGHT = 2816, 1472
LEVELS = 4  # the atlas in full, half, quarter and eighth size, for surfaces seen from far or from the side
LEVEL = np.float32(128)  # value of the bump layer where the surface is level
_STEEPEST = 1.2  # slope of a bump that the 8 bits reach
_FINE = 16  # sub-texel positions, as a power of two, for OpenCV's shift of 4

_Number = TypeVar("_Number", np.uint8, np.float32)
Outline = Sequence[tuple[float, float]]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Finish:
    """How a surface answers light.

    Attributes:
        color: linear RGB in [0, 1]; for glass the share of light that passes.
        coat: strength of the clear mirror-like coat, 1 for polished paint and glass.
        metal: share of the light that is mirrored in the surface's own color.
        gloss: 1 mirrors sharply, 0 only a blur.
        see: share of the surface that lets light through: 1 for glass and holes.
    """

    color: Color
    coat: float = 0.0
    metal: float = 0.0
    gloss: float = 0.0
    see: float = 0.0


@dataclass(frozen=True)
class Chart:
    """A part of the atlas and the metres it stands for; ``v`` runs up, texel rows run down."""

    left: int
    top: int
    width: int
    height: int
    u0: float
    v1: float
    scale: float

    def texels(self, u: Array, v: Array) -> Array:
        """(..., 2) places in the atlas of chart positions in metres, kept inside the chart."""
        x = np.clip((u - self.u0) * self.scale, 1.0, self.width - 2.0)
        y = np.clip((self.v1 - v) * self.scale, 1.0, self.height - 2.0)
        return np.stack([x + self.left, y + self.top], axis=-1)


BODY = Chart(0, 0, 2800, 480, -0.05, 1.33, 380.0)
CABIN = Chart(0, 480, 2200, 480, -0.05, 1.30, 340.0)
DECK = Chart(0, 960, 1700, 310, -2.83, 1.02, 300.0)
CABIN_INSIDE = Chart(1700, 960, 1100, 240, -0.05, 1.30, 170.0)
WHEEL = Chart(2210, 490, 440, 440, -0.39, 0.39, 560.0)
PLATE_FRONT = Chart(1710, 1210, 420, 110, -0.2625, 0.0688, 800.0)
PLATE_REAR = Chart(2150, 1210, 420, 110, -0.2625, 0.0688, 800.0)
_SWATCH, _SWATCH_TOP, _SWATCH_STEP = 16, 1340, 24


class Atlas:
    """The image while it is drawn."""

    def __init__(self) -> None:
        self._color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)  # square roots of linear light, as in the image
        self._finish = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        self._bump = np.zeros((HEIGHT, WIDTH), np.float32)  # metres
        self._swatches: dict[Finish, tuple[float, float]] = {}

    def swatch(self, finish: Finish) -> tuple[float, float]:
        """The place of a patch that looks like ``finish`` all over."""
        if finish not in self._swatches:
            left, top = _SWATCH_STEP * len(self._swatches), _SWATCH_TOP
            box = np.s_[top : top + _SWATCH, left : left + _SWATCH]
            self._color[box], self._finish[box] = _stored(finish)
            self._swatches[finish] = (left + _SWATCH / 2, top + _SWATCH / 2)
        return self._swatches[finish]

    def fill(self, chart: Chart, finish: Finish) -> None:
        """Gives a whole chart one finish."""
        box = np.s_[chart.top : chart.top + chart.height, chart.left : chart.left + chart.width]
        self._color[box], self._finish[box] = _stored(finish)

    def area(self, chart: Chart, outline: Outline, finish: Finish, *, round_by: float = 0.0) -> None:
        """Fills an outline in metres, its corners rounded by about ``round_by`` metres."""
        left, top, mask = _filled(chart, outline, round_by)
        self._blend(left, top, mask, finish)

    def stroke(self, chart: Chart, line: Outline, width: float, finish: Finish) -> None:
        """Draws a line of ``width`` metres."""
        left, top, mask = _stroked(chart, line, width)
        self._blend(left, top, mask, finish)

    def raise_area(self, chart: Chart, outline: Outline, by: float, *, round_by: float, soft: float) -> None:
        """Raises an outline by ``by`` metres (sinks it if negative), over an edge ``soft`` metres wide."""
        left, top, mask = _filled(chart, outline, round_by, margin=3 * soft)
        self._raise(left, top, _blurred(mask, soft * chart.scale), by)

    def raise_stroke(self, chart: Chart, line: Outline, width: float, by: float, *, soft: float) -> None:
        """Raises (or sinks) a line."""
        left, top, mask = _stroked(chart, line, width, margin=3 * soft)
        self._raise(left, top, _blurred(mask, soft * chart.scale), by)

    def gap(self, chart: Chart, line: Outline) -> None:
        """A shut line between two panels: dark, and bent inwards on either side."""
        self.stroke(chart, line, 0.0055, Finish((0.012, 0.012, 0.012)))
        self.raise_stroke(chart, line, 0.012, -0.004, soft=0.005)

    def copy_see_through(self, source: Chart, target: Chart, lining: Finish) -> None:
        """Draws the inner face of a shell: lined, with the same windows."""
        self.fill(target, lining)
        see = _part(self._finish, source)[..., 3]
        half = cv2.resize(see, (see.shape[1] // 2, see.shape[0] // 2), interpolation=cv2.INTER_AREA)
        color = cv2.resize(_part(self._color, source), half.shape[::-1], interpolation=cv2.INTER_AREA)
        rows, columns = min(half.shape[0], target.height), min(half.shape[1], target.width)
        box = np.s_[target.top : target.top + rows, target.left : target.left + columns]
        half, color = half[:rows, :columns], color[:rows, :columns]
        self._finish[box][..., 3] = half
        self._color[box] = np.where(half[..., None] > 127, color, self._color[box])

    def stamp(self, chart: Chart, image: NDArray[np.float32], finish: Finish) -> None:
        """Lays ``finish`` over a chart where ``image`` (chart height, chart width) is 1."""
        self._blend(chart.left, chart.top, image, finish)

    def raise_stamp(self, chart: Chart, height: NDArray[np.float32]) -> None:
        """Adds ``height`` (chart height, chart width), in metres, to a chart."""
        self._raise(chart.left, chart.top, height, 1.0)

    def finished(self) -> "FinishedAtlas":
        """The atlas with its smaller copies, ready to be looked up."""
        color, finish, bump = self._color, self._finish, np.zeros((HEIGHT, WIDTH, 2), np.uint8)
        bump[:] = 128
        for chart in (BODY, CABIN, DECK, WHEEL):
            high = _part(self._bump, chart)
            slope = np.stack(
                [cv2.Sobel(high, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(high, cv2.CV_32F, 0, 1, scale=0.125)], -1
            )
            _part(bump, chart)[:] = np.clip(128.5 + slope * (chart.scale * 127 / _STEEPEST), 0, 255).astype(np.uint8)
        return FinishedAtlas(_with_smaller_copies(color), _with_smaller_copies(finish), _with_smaller_copies(bump))

    def _blend(self, left: int, top: int, mask: NDArray[np.float32], finish: Finish) -> None:
        box = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        whole = mask > 1 - 1 / 512
        rows, columns = np.nonzero((mask > 1 / 512) & ~whole)
        share = mask[rows, columns][:, None]
        for layer, value in zip((self._color, self._finish), _stored(finish), strict=True):
            part = layer[box]
            part[whole] = value
            old = part[rows, columns].astype(np.float32)
            part[rows, columns] = (old + (value - old) * share + np.float32(0.5)).astype(np.uint8)

    def _raise(self, left: int, top: int, mask: NDArray[np.float32], by: float) -> None:
        self._bump[top : top + mask.shape[0], left : left + mask.shape[1]] += by * mask


@dataclass(frozen=True)
class FinishedAtlas:
    """The layers of an atlas, each with its smaller copies beside it.

    Attributes:
        color: uint8 (H, W, 3), 255 times the square root of the linear color.
        finish: uint8 (H, W, 4): coat, metal, gloss, see.
        bump: uint8 (H, W, 2): slope along u and against v, 128 is level.
    """

    color: NDArray[np.uint8]
    finish: NDArray[np.uint8]
    bump: NDArray[np.uint8]


def level_of(texels_per_pixel: Array) -> NDArray[np.int64]:
    """Which copy to look up, so that about one texel falls on a pixel."""
    return np.clip(np.round(np.log2(np.maximum(texels_per_pixel, 1e-6)) - 0.35), 0, LEVELS - 1).astype(np.int64)


def in_level(uv: Array, level: NDArray[np.int64]) -> Array:
    """Places in the full-size atlas as places in one of its smaller copies."""
    start = np.array([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT / 2], [WIDTH, HEIGHT * 3 / 4]])
    return np.asarray((uv + 0.5) * (0.5**level)[..., None] - 0.5 + start[level])


def slope(bump: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The slopes that the bump layer stands for."""
    return (bump.astype(np.float32) - LEVEL) * np.float32(_STEEPEST / 127)


def _stored(finish: Finish) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A finish as texels of the two layers."""
    color = np.sqrt(np.asarray(finish.color))
    look = np.array([finish.coat, finish.metal, finish.gloss, finish.see])
    return np.round(255 * color).astype(np.uint8), np.round(255 * look).astype(np.uint8)


def _with_smaller_copies(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = np.zeros((HEIGHT, WIDTH + WIDTH // 2, layer.shape[2]), np.uint8)
    out[:, :WIDTH] = layer
    top = 0
    copy = layer
    for level in range(1, LEVELS):
        rows, columns = HEIGHT >> level, WIDTH >> level
        copy = np.asarray(cv2.resize(copy, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        out[top : top + rows, WIDTH : WIDTH + columns] = copy
        top += rows
    return out


def _part(layer: NDArray[_Number], chart: Chart) -> NDArray[_Number]:
    return layer[chart.top : chart.top + chart.height, chart.left : chart.left + chart.width]


def _blurred(mask: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.3)), dtype=np.float32)


def _box(chart: Chart, points: Array, margin: float) -> tuple[int, int, int, int]:
    """Texel box (left, top, right, bottom) round points, inside the chart."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    left, right = np.clip([np.floor(low[0]), np.ceil(high[0]) + 1], chart.left, chart.left + chart.width)
    top, bottom = np.clip([np.floor(low[1]), np.ceil(high[1]) + 1], chart.top, chart.top + chart.height)
    return int(left), int(top), int(max(right, left + 1)), int(max(bottom, top + 1))


def _free_texels(chart: Chart, line: Outline) -> Array:
    points = np.array(line, dtype=np.float64)
    return np.stack(
        [(points[:, 0] - chart.u0) * chart.scale + chart.left, (chart.v1 - points[:, 1]) * chart.scale + chart.top],
        axis=-1,
    )


def _filled(
    chart: Chart, outline: Outline, round_by: float, *, margin: float = 0.0
) -> tuple[int, int, NDArray[np.float32]]:
    points = _free_texels(chart, outline)
    left, top, right, bottom = _box(chart, points, 2 + (margin + round_by) * chart.scale)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.round((points - [left, top]) * _FINE).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    soft: NDArray[np.float32] = mask.astype(np.float32) / np.float32(255)
    if round_by > 0:  # a blurred corner, cut at one half again, is a round one
        steep = np.float32(round_by * chart.scale * 1.25)
        soft = np.clip((_blurred(soft, round_by * chart.scale / 2) - np.float32(0.5)) * steep + np.float32(0.5), 0, 1)
    return left, top, np.asarray(soft, dtype=np.float32)


def _stroked(chart: Chart, line: Outline, width: float, *, margin: float = 0.0) -> tuple[int, int, NDArray[np.float32]]:
    points = _free_texels(chart, line)
    texels = width * chart.scale
    left, top, right, bottom = _box(chart, points, 2 + texels + margin * chart.scale)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.round((points - [left, top]) * _FINE).astype(np.int32)
    cv2.polylines(mask, [corners], False, 255, max(1, round(texels)), cv2.LINE_AA, 4)
    return left, top, mask.astype(np.float32) * np.float32(min(1.0, texels / max(1, round(texels))) / 255)
