"""The cabin: one shell of windscreen, side windows and roof on the body."""

from dataclasses import dataclass

import numpy as np

from datamodules.samples.cars.body import Body
from datamodules.samples.cars.body_outline import front_of
from datamodules.samples.cars.charts import CABIN, CABIN_INSIDE
from datamodules.samples.cars.curves import Array, monotone_cubic, superellipse
from datamodules.samples.cars.design import Shape
from datamodules.samples.cars.mesh import Mesh, both_sides, flip_inside_out, grid

WALL = 0.62  # height of the walls in the chart, independent of that on the car
_WALL_ROWS, _ROOF_ROWS = 11, 7
NODES = 75  # vertices along half of its outline
_POWERS = (4.2, 5.0)


@dataclass(frozen=True)
class Cabin:
    """The shell and the chart positions of its corners.

    Attributes:
        outer: outer face of the shell.
        inner: inner face of the shell.
        u: (K,) chart position along the wall at half height.
        x: (K,) position along the car there.
        corners: chart positions of the end of the windscreen, start and end of the side, and start of the rear window.
        roof: (K, 3) edge of the roof.
    """

    outer: Mesh
    inner: Mesh
    u: Array
    x: Array
    corners: tuple[float, float, float, float]
    roof: Array

    def u_at(self, x: float) -> float:
        """Chart position at x along the side of the car."""
        return float(np.interp(-x, -self.x, self.u))


def _angles() -> Array:
    return np.linspace(0.0, np.pi, NODES)


def foot_outline(shape: Shape) -> Array:
    """Half outline (K, 2) of the cabin's base, front to rear."""
    front = front_of(shape)
    rear_power = _POWERS[1] * (2.2 if shape.upright else 1.0)
    return superellipse(
        _angles(),
        front - shape.cowl,
        front - min(shape.rear, shape.length - 0.14),
        shape.width / 2 - 0.085,
        (_POWERS[0], rear_power),
    )


def _roof(shape: Shape) -> Array:
    front = front_of(shape)
    tumble = 0.085 + 0.30 * (shape.height - shape.belt[0]) * (0.72 if shape.upright else 1.0)
    powers = (_POWERS[0], _POWERS[1] * (2.2 if shape.upright else 1.0))
    line = superellipse(_angles(), front - shape.roof_front, front - shape.roof_rear, shape.width / 2 - tumble, powers)
    drop = 0.045 * (line[:, 1] / line[:, 1].max()) ** 2
    return np.concatenate([line, (_roof_height(shape, line[:, 0]) - drop)[:, None]], axis=1)


def _roof_height(shape: Shape, x: Array) -> Array:
    s = front_of(shape) - x
    a, b, h = shape.roof_front, shape.roof_rear, shape.height
    fall = 0.05 + 0.035 * (not shape.upright)
    return monotone_cubic(((a, h - 0.055), (a + 0.3 * (b - a), h - 0.008), (a + 0.55 * (b - a), h), (b, h - fall)), s)


def build_cabin(shape: Shape, body: Body) -> Cabin:
    """Builds the cabin on the body."""
    foot = foot_outline(shape)
    foot[:, 1] = np.minimum(foot[:, 1], np.maximum(body.edge_y(foot[:, 0]) - 0.012, 0.0))
    foot[0, 1] = foot[-1, 1] = 0.0
    base = np.concatenate([foot, (body.top(foot[:, 0], foot[:, 1]) - 0.012)[:, None]], axis=1)
    roof = _roof(shape)
    roof[0, 1] = roof[-1, 1] = 0.0
    v = np.linspace(0.0, 1.0, _WALL_ROWS)[None, :, None]
    walls = base[:, None] * (1 - v) + roof[:, None] * v
    out = _plan_normals((base + roof)[:, :2] / 2)
    walls[..., :2] += 0.042 * np.sin(np.pi * v**0.9) * out[:, None]
    q = np.linspace(0.0, 1.0, _ROOF_ROWS)[None, 1:]
    x = np.broadcast_to(roof[:, :1], (len(roof), q.shape[1]))
    z = roof[:, 2:] + (_roof_height(shape, x) - roof[:, 2:]) * (1 - (1 - q) ** 2.6)
    cover = np.stack([x, roof[:, 1:2] * (1 - q), z], axis=-1)
    points = _round_roof_edge(np.concatenate([walls, cover], axis=1))

    middle = points[:, _WALL_ROWS // 2, :2]
    u = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(middle, axis=0), axis=1))])
    chart_v = np.concatenate([np.linspace(0.0, WALL, _WALL_ROWS), WALL + 0.62 * q[0]])
    place_u, place_v = np.meshgrid(u, chart_v, indexing="ij")
    half = grid(points, CABIN.texels(place_u, place_v))
    outer = both_sides(half)
    lining = CABIN_INSIDE.texels(place_u, place_v).reshape(-1, 2)
    inner = flip_inside_out(outer, np.concatenate([lining, lining]))
    normal = _plan_normals(middle)
    bearing = np.degrees(np.arctan2(normal[:, 1], normal[:, 0]))
    front, rear = (float(np.interp(angle, bearing, u)) for angle in (47.0, 134.0))
    corners = (front - 0.05, front + 0.05, rear - 0.09, rear + 0.09)
    return Cabin(
        outer, inner, u, middle[:, 0], (corners[0], corners[1], corners[2], corners[3]), points[:, _WALL_ROWS - 1]
    )


def _plan_normals(line: Array) -> Array:
    tangent = np.gradient(line, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=-1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    normal[0], normal[-1] = (1.0, 0.0), (-1.0, 0.0)
    return np.asarray(normal)


def _round_roof_edge(points: Array) -> Array:
    """Rounds the edge of the roof."""
    out, edge = points.copy(), _WALL_ROWS - 1
    for _ in range(3):
        out[:, edge - 2 : edge + 3] = (
            0.25 * out[:, edge - 3 : edge + 2] + 0.5 * out[:, edge - 2 : edge + 3] + 0.25 * out[:, edge - 1 : edge + 4]
        )
    return out
