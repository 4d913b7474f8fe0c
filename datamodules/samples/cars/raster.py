"""Rasterizes triangles in depth order (painter's algorithm) into an image of triangle indices."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import atlas, camera
from datamodules.samples.cars.curves import Array
from datamodules.samples.cars.mesh import Part

FINE = 2  # samples per pixel, each way
_SUBSAMPLE = 4  # fractional bits of OpenCV's coordinates


@dataclass(frozen=True)
class Scene:
    """Triangles that face the camera, prepared for shading.

    Attributes:
        corners: (M, 3, 3) homogeneous pixel coordinates.
        weights: float32 (9, M): their product with (x, y, 1) gives barycentric coordinates divided by depth.
        looks: float32 (15, M): normal and atlas position of the three corners.
        frame: float32 (6, M): world directions of the atlas' u and v, for bump mapping.
        part: (M,) number of the mesh.
        depth: (M,) mean distance.
        order: (M,) the triangles from far to near.
        outer: (M,) whether the triangle belongs to an outer part.
    """

    corners: Array
    weights: NDArray[np.float32]
    looks: NDArray[np.float32]
    frame: NDArray[np.float32]
    part: NDArray[np.int64]
    depth: Array
    order: NDArray[np.int64]
    outer: NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """Visible triangles of every sample of an image window.

    Attributes:
        left: first column of the window, in pixels.
        top: first row.
        front: int32 (h * FINE, w * FINE) triangle, -1 for none.
        behind: the same without the outer parts.
    """

    left: int
    top: int
    front: NDArray[np.int32]
    behind: NDArray[np.int32]


def place_meshes(outer: Sequence[Part], inner: Sequence[Part], turn: Array, shift: Array) -> Scene:
    """Places meshes on the turntable and keeps the triangles that face the camera.

    Args:
        outer: parts seen from outside.
        inner: parts behind them.
        turn: (3, 3) rotation from car to world.
        shift: (3,) position of the car in the world.
    """
    parts = [*inner, *outer]
    meshes = [part.mesh for part in parts]
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    points = np.concatenate([mesh.points for mesh in meshes]) @ turn.T + shift
    normals = np.concatenate([mesh.normals for mesh in meshes]) @ turn.T
    uv = np.concatenate([mesh.uv for mesh in meshes])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)])
    number = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
    a, b, c = (points[faces[:, k]] for k in range(3))
    facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), camera.EYE - a) > 0
    faces, number, a, b, c = faces[facing], number[facing], a[facing], b[facing], c[facing]
    flat = camera.project(points)
    corners = flat[faces]
    shares = np.stack([np.cross(corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]) for k in range(3)], axis=1)
    volume = np.einsum("ij,ij->i", corners[:, 0], shares[:, 0])
    weights = (shares / np.where(np.abs(volume) > 1e-9, volume, 1.0)[:, None, None]).reshape(-1, 9)
    places = uv[faces]
    level = atlas.mip_level(_texels_per_pixel(places, corners))
    looks = np.concatenate([normals[faces], atlas.mip_position(places, level[:, None])], axis=2)
    return Scene(
        corners=corners,
        weights=_rows(weights),
        looks=_rows(looks.reshape(-1, 15)),
        frame=_rows(_frames(b - a, c - a, places)),
        part=number,
        depth=corners[:, :, 2].mean(axis=1),
        order=np.argsort(
            np.array([part.nearer for part in parts])[number] - corners[:, :, 2].mean(axis=1), kind="stable"
        ),
        outer=number >= len(inner),
    )


def _rows(columns: Array) -> NDArray[np.float32]:
    """(M, K) as float32 (K, M), which is quicker to pick from."""
    return np.ascontiguousarray(columns.T, dtype=np.float32)


def _texels_per_pixel(places: Array, corners: Array) -> Array:
    """How many texels a pixel covers: nearly as many as in the worse direction."""
    pixels = corners[..., :2] / corners[..., 2:]
    p, q = (np.stack([xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]], axis=1) for xy in (pixels, places))
    area = p[:, 0, 0] * p[:, 1, 1] - p[:, 0, 1] * p[:, 1, 0]
    safe = np.where(np.abs(area) > 1e-6, area, 1e-6)
    across = (q[:, 0] * p[:, 1, 1:] - q[:, 1] * p[:, 0, 1:]) / safe[:, None]
    down = (q[:, 1] * p[:, 0, :1] - q[:, 0] * p[:, 1, :1]) / safe[:, None]
    worse = np.maximum(np.hypot(across[:, 0], across[:, 1]), np.hypot(down[:, 0], down[:, 1]))
    mean = np.sqrt(np.abs(across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]))
    return np.asarray(worse**0.8 * np.maximum(mean, 1e-6) ** 0.2)


def _frames(p: Array, q: Array, places: Array) -> Array:
    """World directions, of unit length, in which the atlas' u grows and its v (texel rows) grows."""
    du, dv = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    area = du[:, :1] * dv[:, 1:] - du[:, 1:] * dv[:, :1]
    safe = np.where(np.abs(area) > 1e-9, area, 1.0)
    along = (p * dv[:, 1:] - q * du[:, 1:]) / safe
    down = (q * du[:, :1] - p * dv[:, :1]) / safe
    unit = [v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9) for v in (along, down)]
    return np.concatenate(unit, axis=1) * (np.abs(area) > 1e-9)


def rasterise(scene: Scene) -> Seen:
    """Paints the triangles, the far ones first; near ones cover them.

    The triangles are a few centimetres long, so that ordering them by their middles orders their pixels too.
    """
    flat = scene.corners[..., :2] / scene.corners[..., 2:]
    low, high = flat.min(axis=(0, 1)) - 2, flat.max(axis=(0, 1)) + 2
    left, top = (int(max(0, np.floor(value))) for value in low)
    right, bottom = int(min(camera.WIDTH, np.ceil(high[0]))), int(min(camera.HEIGHT, np.ceil(high[1])))
    buffer = np.full(((bottom - top) * FINE, (right - left) * FINE), -1, np.int32)
    # OpenCV's whole numbers are the middles of its pixels
    fixed = np.round(((flat - [left, top]) * FINE - 0.5) * 2**_SUBSAMPLE).astype(np.int32)
    outer = scene.outer[scene.order]
    _paint(buffer, fixed, scene.order[~outer])
    behind = buffer.copy()
    _paint(buffer, fixed, scene.order[outer])
    return Seen(left, top, buffer, behind)


def _paint(buffer: NDArray[np.int32], fixed: NDArray[np.int32], order: NDArray[np.int64]) -> None:
    fill = cv2.fillConvexPoly
    for number, triangle in zip(order.tolist(), fixed[order], strict=True):
        fill(buffer, triangle, number, cv2.LINE_8, _SUBSAMPLE)
