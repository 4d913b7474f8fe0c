"""Basic solids: solids of revolution, tubes and superellipsoids."""

from collections.abc import Sequence

import numpy as np

from datamodules.samples.cars.curves import Array
from datamodules.samples.cars.mesh import Mesh, grid

Point = tuple[float, float]
Texel = tuple[float, float]


def _one_texel(shape: tuple[int, ...], texel: Texel) -> Array:
    return np.broadcast_to(np.asarray(texel, dtype=np.float64), (*shape, 2)).copy()


def revolve(profile: Sequence[Point], texel: Texel, *, around: int = 40) -> Mesh:
    """A solid of revolution about the y axis.

    Args:
        profile: points (radius, y); the outside lies to the right of the line, looking along +y with the radius up.
        texel: atlas position of its color.
        around: number of steps around the axis.
    """
    radius, y = np.array(profile, dtype=np.float64).T
    angle = np.linspace(0.0, 2 * np.pi, around + 1)[:, None]
    points = np.stack(
        [radius * np.cos(angle), np.broadcast_to(y, (around + 1, len(y))), radius * np.sin(angle)], axis=-1
    )
    return grid(points, _one_texel(points.shape[:2], texel), closed=True)


def sweep(
    path: Sequence[tuple[float, float, float]] | Array,
    radii: Sequence[float],
    texel: Texel,
    *,
    around: int = 6,
) -> Mesh:
    """A tube along ``path``, with a radius at each of its points."""
    line = np.array(path, dtype=np.float64)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    aside = np.cross(along, np.array([0.31, 0.9, 0.3]))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    up = np.cross(along, aside)
    angle = np.linspace(0.0, 2 * np.pi, around + 1)[None, :, None]
    ring = aside[:, None] * np.cos(angle) + up[:, None] * np.sin(angle)
    points = line[:, None] + ring * np.asarray(radii)[:, None, None]
    return grid(points, _one_texel(points.shape[:2], texel), flip=True, closed=True)


def superellipsoid(size: tuple[float, float, float], power: float, texel: Texel, *, steps: int = 12) -> Mesh:
    """A superellipsoid (rounded box) centered at the origin.

    Args:
        size: half the lengths along x, y and z.
        power: exponent; 2 is an ellipsoid, 6 nearly a box.
        texel: atlas position of its color.
        steps: number of steps from pole to pole.
    """
    across = np.linspace(0.0, 2 * np.pi, 2 * steps + 1)[:, None]
    up = np.linspace(-np.pi / 2, np.pi / 2, steps + 1)[None, :]

    def bent(wave: Array) -> Array:
        return np.asarray(np.sign(wave) * np.abs(wave) ** (2.0 / power))

    points = np.stack(
        [
            size[0] * bent(np.cos(across)) * bent(np.cos(up)),
            size[1] * bent(np.sin(across)) * bent(np.cos(up)),
            size[2] * np.broadcast_to(bent(np.sin(up)), (2 * steps + 1, steps + 1)),
        ],
        axis=-1,
    )
    return grid(points, _one_texel(points.shape[:2], texel), closed=True)
