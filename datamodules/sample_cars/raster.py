"""Which triangle is seen where: triangles painted from far to near into a picture of their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.sample_cars import atlas, camera
from datamodules.sample_cars.curves import Array
from datamodules.sample_cars.mesh import Mesh

FINE = 2  # samples per pixel, each way
_SUBSAMPLE = 4  # fractional bits of OpenCV's coordinates


@dataclass(frozen=True)
class Scene:
    """Triangles that face the camera, prepared for shading.

    Attributes:
        corners: (M, 3, 3) homogeneous pixel coordinates.
        weights: float32 (M, 9): (x, y, 1) times these gives the corners' shares over depth.
        looks: float32 (M, 15): normal and place in the atlas of the three corners.
        frame: float32 (M, 6): world directions of the atlas' u and v, for bumps.
        part: (M,) number of the mesh.
        depth: (M,) mean distance.
        outer: (M,) whether the triangle belongs to an outer part.
        lets_light: (M,) whether some of the triangle may be glass or a hole.
    """

    corners: Array
    weights: NDArray[np.float32]
    looks: NDArray[np.float32]
    frame: NDArray[np.float32]
    part: NDArray[np.int64]
    depth: Array
    outer: NDArray[np.bool_]
    lets_light: NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What every sample of a window of the picture sees.

    Attributes:
        left: first column of the window, in pixels.
        top: first row.
        front: int32 (h * FINE, w * FINE) triangle, -1 for none.
        behind: likewise, with the outer parts taken away.
    """

    left: int
    top: int
    front: NDArray[np.int32]
    behind: NDArray[np.int32]


def place_meshes(
    outer: Sequence[Mesh], inner: Sequence[Mesh], look: atlas.FinishedAtlas, turn: Array, shift: Array
) -> Scene:
    """Sets meshes on the turntable and keeps the triangles that face the camera.

    Args:
        outer: parts seen from outside.
        inner: parts behind them.
        look: what they look like.
        turn: (3, 3) rotation from car to world.
        shift: (3,) the car's place in the world.
    """
    meshes = [*inner, *outer]
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    points = np.concatenate([mesh.points for mesh in meshes]) @ turn.T + shift
    normals = np.concatenate([mesh.normals for mesh in meshes]) @ turn.T
    uv = np.concatenate([mesh.uv for mesh in meshes])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)])
    part = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
    a, b, c = (points[faces[:, k]] for k in range(3))
    facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), camera.EYE - a) > 0
    faces, part, a, b, c = faces[facing], part[facing], a[facing], b[facing], c[facing]
    flat = camera.project(points)
    corners = flat[faces]
    shares = np.stack([np.cross(corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]) for k in range(3)], axis=1)
    volume = np.einsum("ij,ij->i", corners[:, 0], shares[:, 0])
    weights = (shares / np.where(np.abs(volume) > 1e-9, volume, 1.0)[:, None, None]).reshape(-1, 9)
    places = uv[faces]
    level = atlas.level_of(_texels_per_pixel(places, corners))
    looks = np.concatenate([normals[faces], atlas.in_level(places, level[:, None])], axis=2)
    return Scene(
        corners=corners,
        weights=weights.astype(np.float32),
        looks=looks.reshape(-1, 15).astype(np.float32),
        frame=_frames(b - a, c - a, places).astype(np.float32),
        part=part,
        depth=corners[:, :, 2].mean(axis=1),
        outer=part >= len(inner),
        lets_light=look.open_near(places.mean(axis=1)),
    )


def _texels_per_pixel(places: Array, corners: Array) -> Array:
    def area(xy: Array) -> Array:
        p, q = xy[:, 1] - xy[:, 0], xy[:, 2] - xy[:, 0]
        return np.asarray(np.abs(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]))

    return np.sqrt(area(places) / np.maximum(area(corners[..., :2] / corners[..., 2:]), 1e-6))


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
    order = np.argsort(-scene.depth, kind="stable")
    _paint(buffer, fixed, order[~scene.outer[order]])
    behind = buffer.copy()
    _paint(buffer, fixed, order[scene.outer[order]])
    return Seen(left, top, buffer, behind)


def _paint(buffer: NDArray[np.int32], fixed: NDArray[np.int32], order: NDArray[np.int64]) -> None:
    fill = cv2.fillConvexPoly
    for number, triangle in zip(order.tolist(), fixed[order], strict=True):
        fill(buffer, triangle, number, cv2.LINE_8, _SUBSAMPLE)
