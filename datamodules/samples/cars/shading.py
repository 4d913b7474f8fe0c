"""The color of a spot on the car: diffuse light, colored metal flakes, and a mirror-like coat over both."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import atlas, camera
from datamodules.samples.cars.raster import Scene
from datamodules.samples.cars.studio import Environment

Floats = NDArray[np.float32]
_CHUNK = 16384  # samples whose arrays fit a core's cache together
_MIDDLE = np.float32(camera.WIDTH / 2), np.float32(camera.HEIGHT / 2)
_PER_FOCAL = np.float32(1 / camera.FOCAL)
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
    which = triangle.astype(np.intp)
    shares, depth = _shares(scene.weights.take(which, axis=1), x, y)
    corners = scene.looks.take(which, axis=1)
    normal_x, normal_y, normal_z, u, v = (
        shares[0] * corners[k] + shares[1] * corners[5 + k] + shares[2] * corners[10 + k] for k in range(5)
    )
    normal = np.stack([normal_x, normal_y, normal_z])
    bump = _pick(look.bump, u, v)
    bent = np.flatnonzero((bump[0] != atlas.LEVEL) | (bump[1] != atlas.LEVEL))
    if len(bent):
        frame, slopes = scene.frame.take(which[bent], axis=1), atlas.slope(bump[:, bent])
        normal[:, bent] -= slopes[0] * frame[:3] + slopes[1] * frame[3:]
    normal /= np.sqrt(_dot(normal, normal)) + np.float32(1e-6)

    view = _AXES.T @ np.stack([(x - _MIDDLE[0]) * _PER_FOCAL, (y - _MIDDLE[1]) * _PER_FOCAL, np.ones_like(x)])
    height = np.maximum(_EYE[2] + depth * view[2], 0)
    view /= np.sqrt(_dot(view, view))
    facing = np.maximum(-_dot(view, normal), 0)
    mirrored = view + 2 * facing * normal

    root = _pick(look.color, u, v).astype(np.float32) * np.float32(1 / 255)
    color = root * root
    coat, metal, gloss, see = _pick(look.finish, u, v).astype(np.float32) * np.float32(1 / 255)

    room_seen = _around(room.ball, mirrored) * _near_floor(height, mirrored[2])
    sharp, soft = room_seen[:3], room_seen[3]
    away = 1 - facing
    fresnel = 0.05 + 0.95 * (away * away) * (away * away) * away
    open_to_light = _open(height, normal[2])
    glow = 0.35 + 0.65 * open_to_light
    diffuse = _fall(normal) * (open_to_light * (1 - metal))
    flakes = (soft + gloss * (sharp - soft)) * (glow * metal * np.float32(0.95))
    shine = coat * fresnel * glow
    own = color * (diffuse + flakes) * ((1 - see) * (1 - 0.6 * shine)) + shine * sharp
    return own, color * (see * (1 - shine))


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _shares(weights: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Perspective-correct shares (3, N) of the corners, kept inside the triangle, and the depth."""
    over = np.stack([weights[3 * k] * x + weights[3 * k + 1] * y + weights[3 * k + 2] for k in range(3)])
    np.maximum(over, 0.0, out=over)
    depth = 1 / np.maximum(over[0] + over[1] + over[2], np.float32(1e-6))
    return over * depth, depth


def _pick(layer: NDArray[np.uint8], u: Floats, v: Floats) -> NDArray[np.uint8]:
    """(C, N) of a layer at atlas places; places name texel borders, OpenCV wants middles."""
    found = cv2.remap(layer, _folded(u - 0.5), _folded(v - 0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, layer.shape[2])[: len(u)].T)


def _around(ball: Floats, direction: Floats) -> Floats:
    """(4, N) of an environment map in directions (3, N)."""
    side = ball.shape[0]
    scale = np.float32(side / 2) / np.sqrt(np.maximum(2.0 + 2.0 * direction[2], np.float32(1e-4)))
    u, v = (direction[k] * scale + np.float32(side / 2 - 0.5) for k in (0, 1))
    found = cv2.remap(ball, _folded(u), _folded(v), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, 4)[: len(u)].T)


def _folded(values: Floats) -> Floats:
    """As rows of 128, because OpenCV's images have no more than 32767 columns."""
    rows = -(-len(values) // 128)
    out = np.zeros(rows * 128, np.float32)
    out[: len(values)] = values
    return out.reshape(rows, 128)


def _fall(normal: Floats) -> Floats:
    """(3, N) light that falls on a dull surface: most from above, some from the walls, little from the floor."""
    up = normal[2]
    low = np.minimum(up, 0)
    light = 0.76 + 0.38 * up - 0.10 * low * low - 0.05 * normal[1] + 0.03 * normal[0]
    warm = np.float32(0.015) * (1 - up)
    return np.stack([light * (1 + warm), light, light * (1 - warm)])


def _open(height: Floats, up: Floats) -> Floats:
    """Share of the surroundings that the ground and the car's own shadow leave open."""
    low = np.exp(height * np.float32(-1 / 0.24))
    return np.asarray(1 - (0.66 - 0.36 * np.maximum(up, 0)) * low + 0.18 * np.minimum(up, 0))


def _near_floor(height: Floats, mirrored_up: Floats) -> Floats:
    """Dims what is mirrored of the floor close to the car, where its shadow lies."""
    away = height / np.maximum(-mirrored_up, np.float32(0.02))
    dim = 0.25 + 0.75 * np.minimum(away * np.float32(0.55), 1)
    return np.where(mirrored_up < 0, dim, np.float32(1))
