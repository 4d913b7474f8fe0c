"""Composites the car onto the image of the empty studio, with antialiased edges and transparency."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.car import Car
from datamodules.samples.cars.raster import FINE, Scene, Seen
from datamodules.samples.cars.shading import Floats, shade
from datamodules.samples.cars.studio import environment

_JUMP = 0.12  # meters; depths within a pixel that differ by more are an edge
_CLEAR = 0.004  # transmission below this is ignored
_WHITE = np.float32(1.2)  # brighter light is clipped before averaging, as by a sensor


@dataclass(frozen=True)
class _Samples:
    """Samples of the window: row and column of the sample, position in pixels, and index of the pixel."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    x: Floats
    y: Floats
    pixel: NDArray[np.int64]


def composite_car(car: Car, scene: Scene, seen: Seen, gain: Floats, image: Floats) -> NDArray[np.uint8]:
    """Draws the car into the image, in place.

    Args:
        car: the car; its atlas is read.
        scene: the triangles.
        seen: the visible triangles of every sample.
        gain: (3,) gain of the camera, a factor on pixel values.
        image: float32 (H, W, 3), values 0 to 255.

    Returns:
        (H, W) mask: 1 where the car covers more than half of a pixel's samples.
    """
    rows, columns = seen.front.shape[0] // FINE, seen.front.shape[1] // FINE
    corners = [seen.front[down::FINE, right::FINE] for down in range(FINE) for right in range(FINE)]
    covered = np.zeros((rows, columns), np.uint8)
    for corner in corners:
        covered += corner >= 0
    window = np.s_[seen.top : seen.top + rows, seen.left : seen.left + columns]
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[window] = covered > FINE * FINE // 2

    whole = covered == FINE * FINE
    edge = (covered > 0) & ~whole
    edge[whole] = _depth_edges(scene, [corner[whole] for corner in corners])
    part = image[window]
    behind = np.ascontiguousarray(part).reshape(-1, 3)

    inner = np.flatnonzero(whole & ~edge)
    down, right = np.divmod(inner, columns)
    samples = _samples(seen, down * FINE, right * FINE, inner, 0.5)
    color = _shade_samples(car, scene, seen, samples, behind, gain)
    part[down, right] = _to_pixel_values(color, gain).T

    rim = np.flatnonzero(edge)
    down, right = np.divmod(rim, columns)
    steps = np.arange(FINE)
    row = (down * FINE + steps[:, None, None] + 0 * steps[None, :, None]).reshape(-1)
    column = (right * FINE + 0 * steps[:, None, None] + steps[None, :, None]).reshape(-1)
    samples = _samples(seen, row, column, np.tile(rim, FINE * FINE), 0.5 / FINE)
    color = _shade_samples(car, scene, seen, samples, behind, gain).reshape(3, FINE * FINE, -1)
    part[down, right] = _to_pixel_values(color.mean(axis=1), gain).T
    return mask


def _depth_edges(scene: Scene, corners: list[NDArray[np.int32]]) -> NDArray[np.bool_]:
    """Whether the samples of a pixel show different parts, or one part at different depths."""
    key = (scene.part * 4096 + (scene.depth / _JUMP).astype(np.int64)).astype(np.int32)
    first, *others = corners
    differs = np.zeros(len(first), np.bool_)
    for other in others:
        where = np.flatnonzero(other != first)
        differs[where] |= key[other[where]] != key[first[where]]
    return differs


def _samples(
    seen: Seen, row: NDArray[np.int64], column: NDArray[np.int64], pixel: NDArray[np.int64], into: float
) -> _Samples:
    x = (column / FINE + (seen.left + into)).astype(np.float32)
    y = (row / FINE + (seen.top + into)).astype(np.float32)
    return _Samples(row, column, x, y, pixel)


def _to_pixel_values(color: Floats, gain: Floats) -> Floats:
    """Converts linear light to pixel values."""
    return np.asarray(np.sqrt(np.minimum(color, _WHITE)) * (255 * gain[:, None]), dtype=np.float32)


def _shade_samples(car: Car, scene: Scene, seen: Seen, samples: _Samples, image: Floats, gain: Floats) -> Floats:
    """Linear colors (3, N) of samples, including what is visible through glass and holes."""
    front = seen.front[samples.row, samples.column]
    room = environment()
    # samples without a triangle are shaded as the first triangle, then made transparent
    light = shade(scene, car.atlas, room, np.maximum(front, 0), samples.x, samples.y)
    nothing = np.flatnonzero(front < 0)
    light.own[:, nothing] = 0.0
    light.through[:, nothing] = 1.0

    clear = np.flatnonzero(light.through[1] > _CLEAR)
    back = ((image[samples.pixel[clear]] / (255 * gain)) ** 2).T.astype(np.float32)
    second = seen.behind[samples.row[clear], samples.column[clear]]
    inside = np.flatnonzero((second >= 0) & (second != front[clear]))
    at = clear[inside]
    deeper = shade(scene, car.atlas, room, second[inside], samples.x[at], samples.y[at])
    back[:, inside] = deeper.own + deeper.through * back[:, inside]
    light.own[:, clear] += light.through[:, clear] * back
    return light.own
