"""Triangle meshes with smooth normals and atlas coordinates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.curves import Array


@dataclass(frozen=True)
class Mesh:
    """Triangles in car coordinates in meters: x forward, y left, z up; the origin is on the ground below the center.

    Attributes:
        points: (N, 3) vertices.
        normals: (N, 3) outward unit normals.
        uv: (N, 2) atlas position in texels.
        faces: (M, 3) vertex indices, counter-clockwise from outside.
    """

    points: Array
    normals: Array
    uv: Array
    faces: NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A mesh whose borders with other parts are antialiased.

    Attributes:
        mesh: the surface.
        nearer: offset in meters towards the camera for the depth order, for parts that lie on another part.
    """

    mesh: Mesh
    nearer: float = 0.0


def face_normals(points: Array, faces: NDArray[np.int64]) -> Array:
    """Normals (M, 3) with twice the triangle's area as length."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def _smooth(points: Array, uv: Array, faces: NDArray[np.int64], shape: tuple[int, int], *, closed: bool) -> Mesh:
    """A mesh with area-weighted mean normals at its vertices; faces without area are removed."""
    flat = face_normals(points, faces)
    kept = np.linalg.norm(flat, axis=1) > 1e-9
    faces, flat = faces[kept], flat[kept]
    total = np.zeros_like(points)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], weights=flat[:, axis], minlength=len(points))
    if closed:  # the first row is the last one
        rows = total.reshape(*shape, 3)
        rows[0] = rows[-1] = rows[0] + rows[-1]
    else:  # half a car ends at the plane of symmetry, where its normals must lie in that plane
        total[np.abs(points[:, 1]) < 1e-6, 1] = 0.0
    length = np.linalg.norm(total, axis=1, keepdims=True)
    normals = np.where(length > 1e-12, total / np.maximum(length, 1e-12), np.array([0.0, 0.0, 1.0]))
    return Mesh(points, normals, uv, faces)


def grid(
    points: Array, uv: Array, *, keep: NDArray[np.bool_] | None = None, flip: bool = False, closed: bool = False
) -> Mesh:
    """A surface from a grid of points.

    Args:
        points: (U, V, 3).
        uv: (U, V, 2).
        keep: (U - 1, V - 1) cells to keep; ``None`` for all.
        flip: reverses the orientation.
        closed: whether the last row of points equals the first; if not, points at y = 0 lie on the plane of
            symmetry.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    cells = np.stack([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)], axis=2)
    faces = (cells if keep is None else cells[keep]).reshape(-1, 3)
    faces = faces[:, ::-1] if flip else faces
    return _smooth(points.reshape(-1, 3), uv.reshape(-1, 2), faces, (rows, columns), closed=closed)


def mirrored(mesh: Mesh) -> Mesh:
    """The mirror image at the plane y = 0."""
    across = np.array([1.0, -1.0, 1.0])
    return replace(mesh, points=mesh.points * across, normals=mesh.normals * across, faces=mesh.faces[:, ::-1])


def both_sides(mesh: Mesh) -> Mesh:
    """The mesh and its mirror image."""
    return merge([mesh, mirrored(mesh)])


def flip_inside_out(mesh: Mesh, uv: Array) -> Mesh:
    """The inner face of a shell, with its own atlas positions."""
    return Mesh(mesh.points, -mesh.normals, uv, mesh.faces[:, ::-1])


def translate(mesh: Mesh, by: Sequence[float]) -> Mesh:
    """The mesh, translated."""
    return replace(mesh, points=mesh.points + np.asarray(by))


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """Merges meshes."""
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
    )
