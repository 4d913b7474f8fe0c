"""Takes the photograph: car and studio together, and the mask that belongs to it."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.sample_cars import camera
from datamodules.sample_cars.car import Car, build_car
from datamodules.sample_cars.design import Design, design_car
from datamodules.sample_cars.ground import draw_ground, onto_picture
from datamodules.sample_cars.raster import FINE, Scene, Seen, place_meshes, rasterise
from datamodules.sample_cars.shading import Floats, shade
from datamodules.sample_cars.studio import backdrop, environment

_STEP = 0.12  # metres; a jump in depth larger than this within a pixel is an edge
_NOISE_TILE = 256


@lru_cache(maxsize=1)
def _built(design: Design) -> tuple[Car, Floats]:
    return build_car(design), draw_ground(design, _place(design))


def _place(design: Design) -> NDArray[np.float64]:
    """(2, 3) where the car stands on the turntable."""
    turn = camera.turn(design.yaw)
    return np.concatenate([turn[:2, :2], np.array(design.off_centre)[:, None]], axis=1)


def draw_car(seed: int, view: int, *, car: int = 0, views: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photographs one car of a set.

    Args:
        seed: of the set.
        view: 1 to ``views``; 1 shows the front, and the car turns clockwise.
        car: number of the car in the set.
        views: stops of one turn.

    Returns:
        The picture (1280, 1918, 3), RGB, and its mask (1280, 1918), 1 where more than half of a pixel is car.
    """
    return photograph(design_car(seed, car), view, views=views, grain=np.random.default_rng([seed, 3, car, view]))


def photograph(
    design: Design, view: int, *, views: int, grain: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photographs a car of any design; ``grain`` is the sensor's noise."""
    car, ground = _built(design)
    turn = camera.turn(camera.heading(view, views))
    picture = backdrop().copy()
    onto_picture(ground, turn, picture)
    place = _place(design)
    shift = turn @ np.array([place[0, 2], place[1, 2], 0.0])
    scene = place_meshes(car.outer, car.inner, car.atlas, turn @ camera.turn(design.yaw), shift)
    seen = rasterise(scene)
    mask = _lay_over(car, scene, seen, picture)
    return _develop(picture, design, grain), mask


def _lay_over(car: Car, scene: Scene, seen: Seen, picture: Floats) -> NDArray[np.uint8]:
    """Draws the car into the picture, in place, and returns its mask."""
    rows, columns = seen.front.shape[0] // FINE, seen.front.shape[1] // FINE
    blocks = seen.front.reshape(rows, FINE, columns, FINE)
    covered = (blocks >= 0).sum(axis=(1, 3))
    mask = np.zeros(picture.shape[:2], np.uint8)
    window = np.s_[seen.top : seen.top + rows, seen.left : seen.left + columns]
    mask[window] = covered > FINE * FINE / 2

    edge = _edges(scene, seen, rows, columns)
    smooth_y, smooth_x = np.nonzero((covered == FINE * FINE) & ~edge)
    edge_y, edge_x = np.nonzero((covered > 0) & (edge | (covered < FINE * FINE)))
    linear = (picture[window] * np.float32(1 / 255)) ** 2

    whole = _colours(car, scene, seen, smooth_y * FINE, smooth_x * FINE, 0.5, linear[smooth_y, smooth_x].T)
    total = np.zeros((3, len(edge_y)), np.float32)
    behind = linear[edge_y, edge_x].T
    for down in range(FINE):
        for right in range(FINE):
            total += _colours(car, scene, seen, edge_y * FINE + down, edge_x * FINE + right, None, behind)
    part = picture[window]
    part[smooth_y, smooth_x] = 255 * np.sqrt(np.minimum(whole, 1.2)).T
    part[edge_y, edge_x] = 255 * np.sqrt(np.minimum(total / (FINE * FINE), 1.2)).T
    return mask


def _edges(scene: Scene, seen: Seen, rows: int, columns: int) -> NDArray[np.bool_]:
    """Pixels whose samples see different parts, or one part at different depths; there every sample is shaded."""
    key = (scene.part * 4096 + (scene.depth / _STEP).astype(np.int64)).astype(np.int32)
    keys = np.append(key, np.int32(-1))[seen.front].reshape(rows, FINE, columns, FINE)
    first = keys[:, 0, :, 0]
    differ = np.zeros((rows, columns), np.bool_)
    for down in range(FINE):
        for right in range(FINE):
            differ |= keys[:, down, :, right] != first
    return differ


def _colours(
    car: Car,
    scene: Scene,
    seen: Seen,
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    middle: float | None,
    behind: Floats,
) -> Floats:
    """(3, N) linear colours of samples, looking through glass and holes at what is behind, twice at most.

    Args:
        car: for its atlas.
        scene: triangles.
        seen: what the samples see.
        row: sample rows.
        column: sample columns.
        middle: shade at this place of the pixel instead of at the sample's own, in pixels.
        behind: (3, N) light from the studio there.
    """
    into = 0.5 / FINE if middle is None else middle
    x = (column / FINE + (into + seen.left)).astype(np.float32)
    y = (row / FINE + (into + seen.top)).astype(np.float32)
    light = behind.copy()
    for layer in (seen.behind, seen.front):
        triangle = layer[row, column]
        here = np.flatnonzero(triangle >= 0)
        if layer is seen.behind:  # only where the front lets light through is it worth the work
            front = seen.front[row[here], column[here]]
            here = here[(front != triangle[here]) & scene.lets_light[front]]
        found = shade(scene, car.atlas, environment(), triangle[here], x[here], y[here])
        light[:, here] = found.own + found.through * light[:, here]
    return light


def _develop(picture: Floats, design: Design, grain: np.random.Generator) -> NDArray[np.uint8]:
    """Exposure, white balance and sensor noise."""
    gain = np.float32(np.sqrt(design.exposure)) * np.array([1 + design.warmth, 1.0, 1 - design.warmth], np.float32)
    tile = _noise()
    down, right = grain.integers(0, _NOISE_TILE, 2)
    rows, columns = picture.shape[:2]
    noise = tile[down : down + rows, right : right + columns]
    return np.asarray(np.clip(picture * gain + noise + np.float32(0.5), 0, 255), dtype=np.uint8)


@lru_cache(maxsize=1)
def _noise() -> Floats:
    rng = np.random.default_rng(11)
    size = (camera.HEIGHT + _NOISE_TILE, camera.WIDTH + _NOISE_TILE, 3)
    fine = rng.standard_normal(size, dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(fine, (0, 0), 0.6) * np.float32(2.2), dtype=np.float32)
