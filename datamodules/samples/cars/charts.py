"""Charts, the rectangles of a car's texture atlas, and masks of shapes drawn into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.curves import Array

_SUBTEXEL = 16  # OpenCV coordinates with 4 fractional bits

_Number = TypeVar("_Number", np.uint8, np.float32)
Outline = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A rectangle of the atlas and its coordinates in meters; ``v`` points up, texel rows point down."""

    left: int
    top: int
    width: int
    height: int
    u0: float
    v1: float
    scale: float

    def texels(self, u: Array, v: Array) -> Array:
        """Atlas positions ``(..., 2)`` of chart positions in meters, clipped to the chart."""
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


def view_of(layer: NDArray[_Number], chart: Chart) -> NDArray[_Number]:
    """The part of a layer that belongs to a chart, as a view."""
    return layer[chart.top : chart.top + chart.height, chart.left : chart.left + chart.width]


def blur(mask: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur with a standard deviation of ``sigma`` texels, at least 0.3."""
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.3)), dtype=np.float32)


def _box(chart: Chart, points: Array, margin: float) -> tuple[int, int, int, int]:
    """Texel box (left, top, right, bottom) around points, clipped to the chart."""
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


def outline_mask(
    chart: Chart, outline: Outline, round_by: float, *, margin: float = 0.0
) -> tuple[int, int, NDArray[np.float32]]:
    """Left and top texel, and coverage in [0, 1], of a filled outline with rounded corners."""
    points = _free_texels(chart, outline)
    left, top, right, bottom = _box(chart, points, 2 + (margin + round_by) * chart.scale)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.round((points - [left, top]) * _SUBTEXEL).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    soft: NDArray[np.float32] = mask.astype(np.float32) / np.float32(255)
    if round_by > 0:  # blurring and thresholding at one half rounds the corners
        steep = np.float32(round_by * chart.scale * 1.25)
        soft = np.clip((blur(soft, round_by * chart.scale / 2) - np.float32(0.5)) * steep + np.float32(0.5), 0, 1)
    return left, top, np.asarray(soft, dtype=np.float32)


def line_mask(
    chart: Chart, line: Outline, width: float, *, margin: float = 0.0
) -> tuple[int, int, NDArray[np.float32]]:
    """Left and top texel, and coverage in [0, 1], of a line of ``width`` meters."""
    points = _free_texels(chart, line)
    texels = width * chart.scale
    left, top, right, bottom = _box(chart, points, 2 + texels + margin * chart.scale)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corners = np.round((points - [left, top]) * _SUBTEXEL).astype(np.int32)
    cv2.polylines(mask, [corners], False, 255, max(1, round(texels)), cv2.LINE_AA, 4)
    return left, top, mask.astype(np.float32) * np.float32(min(1.0, texels / max(1, round(texels))) / 255)
