"""Surface of the turntable: seams, scuffs and the soft shadow of the car."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import camera
from datamodules.samples.cars.body_outline import axles
from datamodules.samples.cars.curves import Array, superellipse
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.studio import TABLE

_SIDE, _SCALE = 1232, 160.0  # texels, texels per meter
_COARSE = 4  # shadows are drawn at a quarter of this resolution
_TOP = 480  # first image row in which the floor near the car can be visible


def _ground(points: Array, scale: float) -> Array:
    return np.asarray((np.asarray(points, dtype=np.float64) + _SIDE / _SCALE / 2) * scale)


def ground_darkening(design: Design, place: Array) -> NDArray[np.float32]:
    """Darkening of the turntable in top view, with the car at heading 0.

    Args:
        design: the car.
        place: (2, 3) rotation and translation from car to turntable, in meters.

    Returns:
        float32 (S, S): factor on pixel values; 1 is no darkening.
    """
    small = cv2.resize(_shadow_strength(design, place), (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    ground = np.sqrt(1.0 - small) * _surface_marks()
    middle = (np.arange(_SIDE) + 0.5) / _SCALE - _SIDE / _SCALE / 2
    away = np.hypot(middle[None], middle[:, None])
    inside = np.clip((TABLE + 0.03 - away) / 0.35, 0.0, 1.0)
    return np.asarray(1.0 + (ground - 1.0) * inside, dtype=np.float32)


def _shadow_strength(design: Design, place: Array) -> NDArray[np.float32]:
    """Fraction of the light that the car blocks."""
    shape = design.shape
    scale, side = _SCALE / _COARSE, _SIDE // _COARSE
    half = superellipse(
        np.linspace(0, np.pi, 80),
        shape.length / 2 - 0.10,
        -shape.length / 2 + 0.10,
        shape.width / 2 - 0.07,
        shape.square,
    )
    outline = np.concatenate([half, half[::-1] * [1.0, -1.0]])
    body = _filled(side, scale, outline, place)
    tyres = np.zeros_like(body)
    for axle in axles(shape):
        for y in (shape.width / 2 - 0.15, 0.15 - shape.width / 2):
            patch = np.array([[-0.13, -0.10], [0.13, -0.10], [0.13, 0.10], [-0.13, 0.10]]) + np.array([axle, y])
            tyres = np.maximum(tyres, _filled(side, scale, patch, place))
    clearance = 0.55 * shape.sill + 0.06
    light = np.ones_like(body)
    for mask, meters, share in (
        (body, clearance, 0.86),
        (body, 0.42, 0.40),
        (body, 0.95, 0.22),
        (tyres, 0.045, 0.80),
        (tyres, 0.14, 0.45),
    ):
        light *= 1.0 - share * cv2.GaussianBlur(mask, (0, 0), meters * scale)
    return np.asarray(1.0 - light, dtype=np.float32)


def _filled(side: int, scale: float, outline: Array, place: Array) -> NDArray[np.float32]:
    points = _ground(outline @ place[:, :2].T + place[:, 2], scale)
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / np.float32(255)


@lru_cache(maxsize=1)
def _surface_marks() -> NDArray[np.float32]:
    """Seams, tyre marks and scuffs; the same for every car."""
    rng = np.random.default_rng(7)
    mask = np.zeros((_SIDE, _SIDE), np.uint8)

    def line(points: Array, strength: int, thick: int) -> None:
        layer = np.zeros_like(mask)
        cv2.polylines(
            layer, [np.round(_ground(points, _SCALE) * 16).astype(np.int32)], False, strength, thick, cv2.LINE_AA, 4
        )
        np.maximum(mask, layer, out=mask)

    for y in (-1.22, 1.22):
        line(np.array([[-4.0, y], [4.0, y]]), 66, 2)
    for x in (-2.44, 0.0, 2.44):
        line(np.array([[x, -4.0], [x, 4.0]]), 52, 2)
    for _ in range(26):
        start, angle, long = rng.uniform(-3, 3, 2), rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.8)
        bend = rng.uniform(-0.12, 0.12)
        t = np.linspace(0, 1, 12)[:, None]
        path = start + t * long * np.array([np.cos(angle), np.sin(angle)]) + bend * t**2
        line(path, int(rng.integers(14, 40)), int(rng.integers(1, 3)))
    cloud = np.zeros((_SIDE, _SIDE), np.float32)
    for cells, strength in ((7, 0.012), (60, 0.006), (300, 0.012)):
        grain = rng.normal(size=(cells, cells)).astype(np.float32)
        cloud += strength * cv2.resize(grain, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) / 255
    return np.asarray((1.0 - 0.55 * fine) * (1.0 + cloud), dtype=np.float32)


def darken_image(ground: NDArray[np.float32], turn: Array, image: NDArray[np.float32]) -> None:
    """Darkens an image of the empty studio, in place.

    Args:
        ground: result of ``ground_darkening``.
        turn: (3, 3) rotation of the turntable.
        image: float32 (H, W, 3).
    """
    # texel -> meters on the table -> world -> image, as one homography
    to_metres = np.array([[1 / _SCALE, 0, -_SIDE / _SCALE / 2], [0, 1 / _SCALE, -_SIDE / _SCALE / 2], [0, 0, 1]])
    corners = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) @ turn.T
    origin, along_x, along_y = camera.project(corners)
    plane = np.stack([along_x - origin, along_y - origin, origin], axis=1)
    up = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5 - _TOP], [0.0, 0.0, 1.0]])
    size = (camera.WIDTH, camera.HEIGHT - _TOP)
    seen = cv2.warpPerspective(
        ground, up @ plane @ to_metres, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1.0
    )
    image[_TOP:] *= seen[..., None]
