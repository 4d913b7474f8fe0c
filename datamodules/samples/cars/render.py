"""Renders the image of a car in the studio, and its mask."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import camera
from datamodules.samples.cars.car import Car, build_car
from datamodules.samples.cars.compositing import composite_car
from datamodules.samples.cars.curves import Array
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.ground import darken_image, ground_darkening
from datamodules.samples.cars.raster import place_meshes, rasterise
from datamodules.samples.cars.shading import Floats
from datamodules.samples.cars.studio import backdrop
from datamodules.samples.cars.variety import set_design

_TILE = 512  # side of the noise tile, which is repeated at a random offset


def draw_car(
    seed: int, view: int, *, car: int = 0, views: int = 16, varied: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Renders one car of a set.

    Args:
        seed: seed of the set.
        view: 1 to ``views``; 1 shows the front, and the car turns clockwise.
        car: index of the car in the set.
        views: number of views in a full turn.
        varied: whether the car is one of the wider choice of ``set_design``.

    Returns:
        The image (1280, 1918, 3), RGB, and its mask (1280, 1918), 1 where more than half of a pixel is car.
    """
    design = set_design(seed, car, varied=varied)
    return render_view(design, view, views=views, grain=np.random.default_rng([seed, 3, car, view]))


def render_view(
    design: Design, view: int, *, views: int, grain: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Renders a car of any design; ``grain`` draws the offset of the sensor noise."""
    car, room, ground = _build(design)
    turn = camera.turn(camera.heading(view, views))
    image = room.copy()
    darken_image(ground, turn, image)
    place = _place(design)
    shift = turn @ np.array([place[0, 2], place[1, 2], 0.0])
    scene = place_meshes(car.outer, car.inner, turn @ camera.turn(design.yaw), shift)
    mask = composite_car(car, scene, rasterise(scene), _gain(design), image)
    down, right = grain.integers(0, _TILE, 2)
    noise = _noise()[down : down + camera.HEIGHT, right : right + camera.WIDTH]
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8), mask


@lru_cache(maxsize=2)
def _build(design: Design) -> tuple[Car, Floats, Floats]:
    """The car, the exposed image of the empty studio, and the darkening of the turntable."""
    return build_car(design), backdrop(design.wall) * _gain(design), ground_darkening(design, _place(design))


def _place(design: Design) -> Array:
    """Rotation and position (2, 3) of the car on the turntable."""
    turn = camera.turn(design.yaw)
    return np.concatenate([turn[:2, :2], np.array(design.off_center)[:, None]], axis=1)


def _gain(design: Design) -> Floats:
    """Exposure and white balance (3,), as factors on pixel values."""
    warmth = np.array([1 + design.warmth, 1.0, 1 - design.warmth])
    return np.asarray(np.sqrt(design.exposure) * warmth, dtype=np.float32)


@lru_cache(maxsize=1)
def _noise() -> Floats:
    """Sensor noise, larger than the image by one tile."""
    fine = np.random.default_rng(11).standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    tile = cv2.GaussianBlur(fine, (0, 0), 0.6) * 2.2
    down, right = -(-(camera.HEIGHT + _TILE) // _TILE), -(-(camera.WIDTH + _TILE) // _TILE)
    return np.asarray(np.tile(tile, (down, right, 1)), dtype=np.float32)
