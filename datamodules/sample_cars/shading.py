"""The colour of a spot on the car: diffuse light, coloured metal flakes, and a mirror-like coat over both."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.sample_cars import atlas, camera
from datamodules.sample_cars.raster import Scene
from datamodules.sample_cars.studio import Environment

Floats = NDArray[np.float32]
_CHUNK = 16384  # samples whose arrays fit a core's cache together
_EYE = camera.EYE.astype(np.float32)
_AXES = camera.AXES.astype(np.float32)


@dataclass(frozen=True)
class Light:
    """What comes from samples of the car, linear, before the lens.

    Attributes:
        own: float32 (3, N) light that the surface sends itself.
        through: float32 (3, N) share of the light from behind that passes.
    """

    own: Floats
    through: Floats


def shade(
    scene: Scene, look: atlas.FinishedAtlas, room: Environment, triangle: NDArray[np.int32], x: Floats, y: Floats
) -> Light:
    """Shades samples.

    Args:
        scene: the triangles.
        look: the car's atlas.
        room: the light around.
        triangle: (N,) which triangle each sample sees.
        x: (N,) column in pixels.
        y: (N,) row.
    """
    count = len(triangle)
    light = Light(np.empty((3, count), np.float32), np.empty((3, count), np.float32))
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        light.own[:, part], light.through[:, part] = _shade(scene, look, room, triangle[part], x[part], y[part])
    return light


def _shade(
    scene: Scene, look: atlas.FinishedAtlas, room: Environment, triangle: NDArray[np.int32], x: Floats, y: Floats
) -> tuple[Floats, Floats]:
    shares, depth = _shares(scene.weights[triangle].T, x, y)
    corners = scene.looks[triangle].T
    normal_x, normal_y, normal_z, u, v = (
        shares[0] * corners[k] + shares[1] * corners[5 + k] + shares[2] * corners[10 + k] for k in range(5)
    )
    normal = np.stack([normal_x, normal_y, normal_z])
    slopes = atlas.slope(_pick(look.bump, u, v))
    bent = np.flatnonzero(np.abs(slopes).max(axis=0) > 0.02)
    if len(bent):
        frame = scene.frame[triangle[bent]].T
        normal[:, bent] -= slopes[0, bent] * frame[:3] + slopes[1, bent] * frame[3:]
    normal /= np.sqrt((normal * normal).sum(axis=0)) + np.float32(1e-6)

    picture = np.stack([(x - camera.WIDTH / 2) / camera.FOCAL, (y - camera.HEIGHT / 2) / camera.FOCAL, np.ones_like(x)])
    view = _AXES.T @ picture.astype(np.float32)
    height = _EYE[2] + depth * view[2]
    view /= np.sqrt((view * view).sum(axis=0))
    facing = np.maximum(-(view * normal).sum(axis=0), 0.0)
    mirrored = view + 2 * facing * normal

    root = _pick(look.colour, u, v).astype(np.float32) * np.float32(1 / 255)
    colour = root * root
    coat, metal, gloss, see = _pick(look.finish, u, v).astype(np.float32) * np.float32(1 / 255)

    sharp = _around(room.sharp, mirrored)
    soft = _around(room.soft, mirrored)
    floor_near = _near_floor(height, mirrored[2])
    sharp *= floor_near
    soft *= floor_near
    fresnel = 0.045 + 0.955 * (1.0 - facing) ** 5
    open_to_light = _open(height, normal[2])
    diffuse = colour * (_fall(normal) * open_to_light)
    metallic = colour * (soft + gloss * (sharp - soft)) * (0.35 + 0.65 * open_to_light)
    solid = diffuse + metal * (metallic * np.float32(1.15) - diffuse)
    shine = coat * fresnel * (0.3 + 0.7 * open_to_light)
    own = (1.0 - see) * (1.0 - 0.6 * shine) * solid + shine * sharp
    return own.astype(np.float32), (see * (1.0 - shine) * colour).astype(np.float32)


def _shares(weights: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Perspective-correct shares (3, N) of the corners, kept inside the triangle, and the depth."""
    over = np.stack([weights[3 * k] * x + weights[3 * k + 1] * y + weights[3 * k + 2] for k in range(3)])
    np.maximum(over, 0.0, out=over)
    total = np.maximum(over.sum(axis=0), np.float32(1e-6))
    return over / total, 1.0 / total


def _pick(layer: NDArray[np.uint8], u: Floats, v: Floats) -> NDArray[np.uint8]:
    """(C, N) of a layer at atlas places; places name texel borders, OpenCV wants middles."""
    found = cv2.remap(layer, _folded(u - 0.5), _folded(v - 0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, layer.shape[2])[: len(u)].T)


def _around(ball: Floats, direction: Floats) -> Floats:
    """(3, N) of an environment map in directions (3, N)."""
    side = ball.shape[0]
    scale = np.float32(side / 2) / np.sqrt(np.maximum(2.0 + 2.0 * direction[2], np.float32(1e-4)))
    u, v = (direction[k] * scale + np.float32(side / 2 - 0.5) for k in (0, 1))
    found = cv2.remap(ball, _folded(u), _folded(v), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, 3)[: len(u)].T)


def _folded(values: Floats) -> Floats:
    """As rows of 128, because OpenCV's pictures have no more than 32767 columns."""
    rows = -(-len(values) // 128)
    out = np.zeros(rows * 128, np.float32)
    out[: len(values)] = values
    return out.reshape(rows, 128)


def _fall(normal: Floats) -> Floats:
    """(3, N) light that falls on a dull surface: most from above, some from the walls, little from the floor."""
    up = normal[2]
    light = 0.80 + 0.32 * up - 0.14 * np.minimum(up, 0.0) ** 2 - 0.05 * normal[1] + 0.03 * normal[0]
    warm = np.float32(0.03) * (0.5 - 0.5 * up)
    return np.stack([light * (1 + warm), light, light * (1.005 - warm)])


def _open(height: Floats, up: Floats) -> Floats:
    """Share of the surroundings that the ground and the car's own shadow leave open."""
    low = np.exp(-np.maximum(height, 0.0) / np.float32(0.22))
    shut = (0.62 - 0.35 * np.maximum(up, 0.0)) * low + 0.16 * np.maximum(-up, 0.0)
    return np.asarray(1.0 - shut, dtype=np.float32)


def _near_floor(height: Floats, mirrored_up: Floats) -> Floats:
    """Dims what is mirrored of the floor close to the car, where its shadow lies."""
    away = np.maximum(height, 0.0) / np.maximum(-mirrored_up, np.float32(0.02))
    dim = 0.25 + 0.75 * np.minimum(away * np.float32(0.55), 1.0)
    return np.where(mirrored_up < 0, dim, np.float32(1.0)).astype(np.float32)
