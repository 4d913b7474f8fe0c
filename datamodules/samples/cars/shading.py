"""Shading model of the car: diffuse light, metallic flakes, and a reflecting clear coat."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import atlas, camera
from datamodules.samples.cars.raster import Scene
from datamodules.samples.cars.studio import Environment

Floats = NDArray[np.float32]
_CHUNK = 16384  # samples per chunk, so that the arrays fit into a core's cache
_MIDDLE = np.float32(camera.WIDTH / 2), np.float32(camera.HEIGHT / 2)
_PER_FOCAL = np.float32(1 / camera.FOCAL)
_EYE = camera.EYE.astype(np.float32)
_AXES = camera.AXES.astype(np.float32)


@dataclass(frozen=True)
class Light:
    """Linear light of the samples, before exposure.

    Attributes:
        own: float32 (3, N) light from the surface itself.
        through: float32 (3, N) transmitted fraction of the light from behind.
    """

    own: Floats
    through: Floats


def shade(
    scene: Scene, look: atlas.FinishedAtlas, room: Environment, triangle: NDArray[np.int32], x: Floats, y: Floats
) -> Light:
    """Computes the light of samples.

    Args:
        scene: the triangles.
        look: the car's atlas.
        room: environment light.
        triangle: (N,) index of the visible triangle.
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
    shares, depth = _barycentric(scene.weights.take(which, axis=1), x, y)
    corners = scene.looks.take(which, axis=1)
    normal_x, normal_y, normal_z, u, v = (
        shares[0] * corners[k] + shares[1] * corners[5 + k] + shares[2] * corners[10 + k] for k in range(5)
    )
    normal = np.stack([normal_x, normal_y, normal_z])
    bump = _sample_atlas(look.bump, u, v)
    bent = np.flatnonzero((bump[0] != atlas.FLAT) | (bump[1] != atlas.FLAT))
    if len(bent):
        frame, slopes = scene.frame.take(which[bent], axis=1), atlas.slope(bump[:, bent])
        normal[:, bent] -= slopes[0] * frame[:3] + slopes[1] * frame[3:]
    normal /= np.sqrt(_dot(normal, normal)) + np.float32(1e-6)

    view = _AXES.T @ np.stack([(x - _MIDDLE[0]) * _PER_FOCAL, (y - _MIDDLE[1]) * _PER_FOCAL, np.ones_like(x)])
    height = np.maximum(_EYE[2] + depth * view[2], 0)
    view /= np.sqrt(_dot(view, view))
    facing = np.maximum(-_dot(view, normal), 0)
    mirrored = view + 2 * facing * normal

    root = _sample_atlas(look.color, u, v).astype(np.float32) * np.float32(1 / 255)
    color = root * root
    coat, metal, gloss, see = _sample_atlas(look.finish, u, v).astype(np.float32) * np.float32(1 / 255)

    room_seen = _sample_environment(room.ball, mirrored) * _floor_reflection(height, mirrored[2])
    sharp, soft = room_seen[:3], room_seen[3]
    away = 1 - facing
    fresnel = 0.05 + 0.95 * (away * away) * (away * away) * away
    open_to_light = _visibility(height, normal[2])
    glow = 0.35 + 0.65 * open_to_light
    diffuse = _irradiance(normal) * (open_to_light * (1 - metal))
    flakes = (soft + gloss * (sharp - soft)) * (glow * metal * np.float32(0.95))
    shine = coat * fresnel * glow
    own = color * (diffuse + flakes) * ((1 - see) * (1 - 0.6 * shine)) + shine * sharp
    return own, color * (see * (1 - shine))


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def _barycentric(weights: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Perspective-correct barycentric coordinates (3, N), clipped to the triangle, and the depth."""
    over = np.stack([weights[3 * k] * x + weights[3 * k + 1] * y + weights[3 * k + 2] for k in range(3)])
    np.maximum(over, 0.0, out=over)
    depth = 1 / np.maximum(over[0] + over[1] + over[2], np.float32(1e-6))
    return over * depth, depth


def _sample_atlas(layer: NDArray[np.uint8], u: Floats, v: Floats) -> NDArray[np.uint8]:
    """Interpolates a layer at atlas positions: (C, N). Positions count from texel borders, OpenCV's from centers."""
    found = cv2.remap(layer, _to_rows(u - 0.5), _to_rows(v - 0.5), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, layer.shape[2])[: len(u)].T)


def _sample_environment(ball: Floats, direction: Floats) -> Floats:
    """Interpolates an environment map in directions (3, N): (4, N)."""
    side = ball.shape[0]
    scale = np.float32(side / 2) / np.sqrt(np.maximum(2.0 + 2.0 * direction[2], np.float32(1e-4)))
    u, v = (direction[k] * scale + np.float32(side / 2 - 0.5) for k in (0, 1))
    found = cv2.remap(ball, _to_rows(u), _to_rows(v), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found.reshape(-1, 4)[: len(u)].T)


def _to_rows(values: Floats) -> Floats:
    """Reshapes to rows of 128, because OpenCV's images have at most 32767 columns."""
    rows = -(-len(values) // 128)
    out = np.zeros(rows * 128, np.float32)
    out[: len(values)] = values
    return out.reshape(rows, 128)


def _irradiance(normal: Floats) -> Floats:
    """Irradiance (3, N) of a diffuse surface: most from above, some from the walls, little from the floor."""
    up = normal[2]
    low = np.minimum(up, 0)
    light = 0.76 + 0.38 * up - 0.10 * low * low - 0.05 * normal[1] + 0.03 * normal[0]
    warm = np.float32(0.015) * (1 - up)
    return np.stack([light * (1 + warm), light, light * (1 - warm)])


def _visibility(height: Floats, up: Floats) -> Floats:
    """Ambient occlusion: fraction of the environment that the ground and the car's shadow do not block."""
    low = np.exp(height * np.float32(-1 / 0.24))
    return np.asarray(1 - (0.66 - 0.36 * np.maximum(up, 0)) * low + 0.18 * np.minimum(up, 0))


def _floor_reflection(height: Floats, mirrored_up: Floats) -> Floats:
    """Factor that darkens reflections of the floor in the car's shadow."""
    away = height / np.maximum(-mirrored_up, np.float32(0.02))
    dim = 0.25 + 0.75 * np.minimum(away * np.float32(0.55), 1)
    return np.where(mirrored_up < 0, dim, np.float32(1))
