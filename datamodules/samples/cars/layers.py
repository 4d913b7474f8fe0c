"""Lays the car over the image of the empty studio: edges are averaged, glass and holes are looked through."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.car import Car
from datamodules.samples.cars.raster import FINE, Scene, Seen
from datamodules.samples.cars.shading import Floats, shade
from datamodules.samples.cars.studio import environment

_JUMP = 0.12  # metres; a step in depth that may be larger than this within a pixel is an edge
_CLEAR = 0.004  # light from behind weaker than this is left out
_WHITE = np.float32(1.2)  # brighter light is clipped before pixels are averaged, as a sensor does


@dataclass(frozen=True)
class _Samples:
    """Places of the window: which sample it reads, where it is shaded (pixels), and in which pixel it lies."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    x: Floats
    y: Floats
    pixel: NDArray[np.int64]


def lay_over(car: Car, scene: Scene, seen: Seen, gain: Floats, image: Floats) -> NDArray[np.uint8]:
    """Draws the car into the image, in place.

    Args:
        car: for its atlas.
        scene: triangles.
        seen: which of them every sample sees.
        gain: (3,) the camera's gain on the image's values.
        image: float32 (H, W, 3), values 0 to 255.

    Returns:
        (H, W) mask: 1 where more than half of a pixel's samples see the car.
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
    edge[whole] = _differs(scene, [corner[whole] for corner in corners])
    part = image[window]
    behind = np.ascontiguousarray(part).reshape(-1, 3)

    inner = np.flatnonzero(whole & ~edge)
    down, right = np.divmod(inner, columns)
    samples = _samples(seen, down * FINE, right * FINE, inner, 0.5)
    color = _colors(car, scene, seen, samples, behind, gain)
    part[down, right] = _developed(color, gain).T

    rim = np.flatnonzero(edge)
    down, right = np.divmod(rim, columns)
    steps = np.arange(FINE)
    row = (down * FINE + steps[:, None, None] + 0 * steps[None, :, None]).reshape(-1)
    column = (right * FINE + 0 * steps[:, None, None] + steps[None, :, None]).reshape(-1)
    samples = _samples(seen, row, column, np.tile(rim, FINE * FINE), 0.5 / FINE)
    color = _colors(car, scene, seen, samples, behind, gain).reshape(3, FINE * FINE, -1)
    part[down, right] = _developed(color.mean(axis=1), gain).T
    return mask


def _differs(scene: Scene, corners: list[NDArray[np.int32]]) -> NDArray[np.bool_]:
    """Where samples of a pixel see different parts, or one part at different depths."""
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


def _developed(color: Floats, gain: Floats) -> Floats:
    """Linear light as the image's values."""
    return np.asarray(np.sqrt(np.minimum(color, _WHITE)) * (255 * gain[:, None]), dtype=np.float32)


def _colors(car: Car, scene: Scene, seen: Seen, samples: _Samples, image: Floats, gain: Floats) -> Floats:
    """(3, N) linear colors of samples; where they see glass or a hole, with what is behind it."""
    front = seen.front[samples.row, samples.column]
    room = environment()
    # samples that see no car are shaded as if they saw the first triangle, and then made wholly clear
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
