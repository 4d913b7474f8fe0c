"""Texture atlas of a car: color, finish and bump layers, with mip levels."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.charts import (
    BODY,
    CABIN,
    DECK,
    WHEEL,
    Chart,
    Outline,
    blur,
    line_mask,
    outline_mask,
    view_of,
)
from datamodules.samples.cars.curves import Array

WIDTH, HEIGHT = 2816, 1472
LEVELS = 4  # mip levels: full, half, quarter and eighth size
FLAT = np.float32(128)  # value of the bump layer for a flat surface
_MAX_SLOPE = 1.2  # largest slope that 8 bits of the bump layer hold
_SWATCH, _SWATCH_TOP, _SWATCH_STEP = 16, 1340, 24

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Finish:
    """Optical properties of a surface.

    Attributes:
        color: linear RGB in [0, 1]; for glass the transmitted fraction of light.
        coat: strength of the clear coat in [0, 1]; 1 for polished paint and glass.
        metal: fraction of the light that is reflected in the surface's own color.
        gloss: sharpness of the reflection in [0, 1].
        see: transparent fraction of the surface; 1 for glass and holes.
    """

    color: Color
    coat: float = 0.0
    metal: float = 0.0
    gloss: float = 0.0
    see: float = 0.0


class Atlas:
    """The atlas while it is drawn."""

    def __init__(self) -> None:
        self._color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)  # square roots of linear color, as in the image
        self._finish = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        self._bump = np.zeros((HEIGHT, WIDTH), np.float32)  # meters
        self._swatches: dict[Finish, tuple[float, float]] = {}

    def swatch(self, finish: Finish) -> tuple[float, float]:
        """Atlas position of a patch filled with ``finish``."""
        if finish not in self._swatches:
            left, top = _SWATCH_STEP * len(self._swatches), _SWATCH_TOP
            box = np.s_[top : top + _SWATCH, left : left + _SWATCH]
            self._color[box], self._finish[box] = _encode(finish)
            self._swatches[finish] = (left + _SWATCH / 2, top + _SWATCH / 2)
        return self._swatches[finish]

    def fill(self, chart: Chart, finish: Finish) -> None:
        """Fills a chart with one finish."""
        box = np.s_[chart.top : chart.top + chart.height, chart.left : chart.left + chart.width]
        self._color[box], self._finish[box] = _encode(finish)

    def area(self, chart: Chart, outline: Outline, finish: Finish, *, round_by: float = 0.0) -> None:
        """Fills an outline in meters, with corners rounded by about ``round_by`` meters."""
        left, top, mask = outline_mask(chart, outline, round_by)
        self._blend(left, top, mask, finish)

    def stroke(self, chart: Chart, line: Outline, width: float, finish: Finish) -> None:
        """Draws a line of ``width`` meters."""
        left, top, mask = line_mask(chart, line, width)
        self._blend(left, top, mask, finish)

    def raise_area(self, chart: Chart, outline: Outline, by: float, *, round_by: float, soft: float) -> None:
        """Raises an outline by ``by`` meters (lowers it if negative), with an edge ``soft`` meters wide."""
        left, top, mask = outline_mask(chart, outline, round_by, margin=3 * soft)
        self._raise(left, top, blur(mask, soft * chart.scale), by)

    def raise_stroke(self, chart: Chart, line: Outline, width: float, by: float, *, soft: float) -> None:
        """Raises a line by ``by`` meters (lowers it if negative)."""
        left, top, mask = line_mask(chart, line, width, margin=3 * soft)
        self._raise(left, top, blur(mask, soft * chart.scale), by)

    def gap(self, chart: Chart, line: Outline) -> None:
        """Draws a gap between two panels: dark, with rounded edges."""
        self.stroke(chart, line, 0.0055, Finish((0.012, 0.012, 0.012)))
        self.raise_stroke(chart, line, 0.012, -0.004, soft=0.005)

    def copy_windows(self, source: Chart, target: Chart, lining: Finish) -> None:
        """Draws the inner face of a shell: the lining, with the windows of the outer face."""
        self.fill(target, lining)
        see = view_of(self._finish, source)[..., 3]
        half = cv2.resize(see, (see.shape[1] // 2, see.shape[0] // 2), interpolation=cv2.INTER_AREA)
        color = cv2.resize(view_of(self._color, source), half.shape[::-1], interpolation=cv2.INTER_AREA)
        rows, columns = min(half.shape[0], target.height), min(half.shape[1], target.width)
        box = np.s_[target.top : target.top + rows, target.left : target.left + columns]
        half, color = half[:rows, :columns], color[:rows, :columns]
        self._finish[box][..., 3] = half
        self._color[box] = np.where(half[..., None] > 127, color, self._color[box])

    def fill_mask(self, chart: Chart, image: NDArray[np.float32], finish: Finish) -> None:
        """Blends ``finish`` into a chart with the weights ``image`` (chart height, chart width) in [0, 1]."""
        self._blend(chart.left, chart.top, image, finish)

    def raise_map(self, chart: Chart, height: NDArray[np.float32]) -> None:
        """Adds ``height`` (chart height, chart width), in meters, to a chart."""
        self._raise(chart.left, chart.top, height, 1.0)

    def finish(self) -> "FinishedAtlas":
        """Computes slopes and mip levels."""
        color, finish, bump = self._color, self._finish, np.zeros((HEIGHT, WIDTH, 2), np.uint8)
        bump[:] = 128
        for chart in (BODY, CABIN, DECK, WHEEL):
            high = view_of(self._bump, chart)
            slope = np.stack(
                [cv2.Sobel(high, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(high, cv2.CV_32F, 0, 1, scale=0.125)], -1
            )
            view_of(bump, chart)[:] = np.clip(128.5 + slope * (chart.scale * 127 / _MAX_SLOPE), 0, 255).astype(np.uint8)
        return FinishedAtlas(_with_mip_levels(color), _with_mip_levels(finish), _with_mip_levels(bump))

    def _blend(self, left: int, top: int, mask: NDArray[np.float32], finish: Finish) -> None:
        box = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        whole = mask > 1 - 1 / 512
        rows, columns = np.nonzero((mask > 1 / 512) & ~whole)
        share = mask[rows, columns][:, None]
        for layer, value in zip((self._color, self._finish), _encode(finish), strict=True):
            part = layer[box]
            part[whole] = value
            old = part[rows, columns].astype(np.float32)
            part[rows, columns] = (old + (value - old) * share + np.float32(0.5)).astype(np.uint8)

    def _raise(self, left: int, top: int, mask: NDArray[np.float32], by: float) -> None:
        self._bump[top : top + mask.shape[0], left : left + mask.shape[1]] += by * mask


@dataclass(frozen=True)
class FinishedAtlas:
    """The layers of an atlas, each with its mip levels to the right of it.

    Attributes:
        color: uint8 (H, W, 3), 255 times the square root of the linear color.
        finish: uint8 (H, W, 4): coat, metal, gloss, see.
        bump: uint8 (H, W, 2): slope along u and against v; 128 is flat.
    """

    color: NDArray[np.uint8]
    finish: NDArray[np.uint8]
    bump: NDArray[np.uint8]


def mip_level(texels_per_pixel: Array) -> NDArray[np.int64]:
    """Mip level at which about one texel falls on a pixel."""
    return np.clip(np.round(np.log2(np.maximum(texels_per_pixel, 1e-6)) - 0.35), 0, LEVELS - 1).astype(np.int64)


def mip_position(uv: Array, level: NDArray[np.int64]) -> Array:
    """Converts positions in the full-size atlas to positions in mip levels."""
    start = np.array([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, HEIGHT / 2], [WIDTH, HEIGHT * 3 / 4]])
    return np.asarray((uv + 0.5) * (0.5**level)[..., None] - 0.5 + start[level])


def slope(bump: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decodes the slopes of the bump layer."""
    return (bump.astype(np.float32) - FLAT) * np.float32(_MAX_SLOPE / 127)


def _encode(finish: Finish) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Encodes a finish as texels of the color and the finish layer."""
    color = np.sqrt(np.asarray(finish.color))
    properties = np.array([finish.coat, finish.metal, finish.gloss, finish.see])
    return np.round(255 * color).astype(np.uint8), np.round(255 * properties).astype(np.uint8)


def _with_mip_levels(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
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
