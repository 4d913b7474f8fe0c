"""Takes the image: car and studio together, and the mask that belongs to it."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import camera
from datamodules.samples.cars.car import Car, build_car
from datamodules.samples.cars.curves import Array
from datamodules.samples.cars.design import Design, design_car
from datamodules.samples.cars.ground import draw_ground, onto_image
from datamodules.samples.cars.layers import lay_over
from datamodules.samples.cars.raster import place_meshes, rasterise
from datamodules.samples.cars.shading import Floats
from datamodules.samples.cars.studio import backdrop

_TILE = 512  # side of the square of noise that is repeated, at another place in every image


def draw_car(seed: int, view: int, *, car: int = 0, views: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images one car of a set.

    Args:
        seed: of the set.
        view: 1 to ``views``; 1 shows the front, and the car turns clockwise.
        car: number of the car in the set.
        views: stops of one turn.

    Returns:
        The image (1280, 1918, 3), RGB, and its mask (1280, 1918), 1 where more than half of a pixel is car.
    """
    return render_view(design_car(seed, car), view, views=views, grain=np.random.default_rng([seed, 3, car, view]))


def render_view(
    design: Design, view: int, *, views: int, grain: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images a car of any design; ``grain`` says where the sensor's noise lies."""
    car, room, ground = _built(design)
    turn = camera.turn(camera.heading(view, views))
    image = room.copy()
    onto_image(ground, turn, image)
    place = _place(design)
    shift = turn @ np.array([place[0, 2], place[1, 2], 0.0])
    scene = place_meshes(car.outer, car.inner, turn @ camera.turn(design.yaw), shift)
    mask = lay_over(car, scene, rasterise(scene), _gain(design), image)
    down, right = grain.integers(0, _TILE, 2)
    noise = _noise()[down : down + camera.HEIGHT, right : right + camera.WIDTH]
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), dtype=np.uint8), mask


@lru_cache(maxsize=2)
def _built(design: Design) -> tuple[Car, Floats, Floats]:
    """The car, the empty studio as exposed for it, and its shadow on the turntable."""
    return build_car(design), backdrop() * _gain(design), draw_ground(design, _place(design))


def _place(design: Design) -> Array:
    """(2, 3) where the car stands on the turntable."""
    turn = camera.turn(design.yaw)
    return np.concatenate([turn[:2, :2], np.array(design.off_centre)[:, None]], axis=1)


def _gain(design: Design) -> Floats:
    """(3,) exposure and white balance, as factors on the image's values."""
    warmth = np.array([1 + design.warmth, 1.0, 1 - design.warmth])
    return np.asarray(np.sqrt(design.exposure) * warmth, dtype=np.float32)


@lru_cache(maxsize=1)
def _noise() -> Floats:
    """The sensor's noise, larger than the image by a tile."""
    fine = np.random.default_rng(11).standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    tile = cv2.GaussianBlur(fine, (0, 0), 0.6) * 2.2
    down, right = -(-(camera.HEIGHT + _TILE) // _TILE), -(-(camera.WIDTH + _TILE) // _TILE)
    return np.asarray(np.tile(tile, (down, right, 1)), dtype=np.float32)
