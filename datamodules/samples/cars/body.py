"""The lower body: bumpers, wings, doors and bonnet as one skin wrapped round an outline seen from above."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.atlas import BODY, DECK
from datamodules.samples.cars.curves import Array, smoothstep, superellipse, through
from datamodules.samples.cars.design import Shape
from datamodules.samples.cars.mesh import Mesh, both_sides, grid

_SIDE_ROWS, _STEP = 15, 0.075
_FREE = 9 / 14  # share of the side's rows that are squeezed where a wheel arch is cut out
ARCH_GAP = 0.058  # air between tyre and wheel arch
_SIDE = ((0.0, 0.10), (0.07, 0.035), (0.22, 0.012), (0.46, 0.0), (0.70, 0.010), (0.90, 0.034), (1.0, 0.075))
_NOSE = ((0.0, 0.13), (0.12, 0.05), (0.30, 0.0), (0.45, 0.005), (0.60, 0.022), (0.85, 0.055), (1.0, 0.125))
_TAIL = ((0.0, 0.16), (0.12, 0.05), (0.30, 0.0), (0.45, 0.0), (0.52, 0.03), (0.80, 0.045), (1.0, 0.07))
# across the top, from the shoulder (0) to the middle (1)
_TOP_ROWS = np.array([0.0, 0.025, 0.06, 0.11, 0.19, 0.32, 0.5, 0.75, 1.0])
_BED_ROWS = np.array([0.0, 0.02, 0.045, 0.075, 0.095, 0.105, 0.115, 0.16, 0.24, 0.36, 0.5, 0.66, 0.83, 1.0])


@dataclass(frozen=True)
class Body:
    """The skin's outline and heights, for everything that is fitted to it.

    Attributes:
        shape: what was asked for.
        u: (U,) metres along the outline from the middle of the nose.
        x: (U,) place along the car of the outline at its widest.
        edge: (U, 3) the shoulder: where side and top meet.
        mesh: the skin.
        lining: the part of it below the shoulder, coarser, to be seen from within.
        bed: a pickup's bed, which is no part of the skin; no faces on other cars.
    """

    shape: Shape
    u: Array
    x: Array
    edge: Array
    mesh: Mesh
    lining: Mesh
    bed: Mesh

    def u_at(self, x: float) -> float:
        """Metres along the outline at a place along the car's side."""
        return float(np.interp(-x, -self.x, self.u))

    def edge_y(self, x: Array) -> Array:
        """Half the width at the shoulder."""
        return np.asarray(np.interp(-x, -self.edge[:, 0], self.edge[:, 1]))

    def top(self, x: Array, y: Array) -> Array:
        """Height of the bonnet or deck."""
        q = np.clip(1.0 - np.abs(y) / np.maximum(self.edge_y(x), 1e-3), 0.0, 1.0)
        return _top_height(self.shape, x, q)

    def side(self, x: float, z: float) -> float:
        """Half the width at a height of the side."""
        shape = self.shape
        low, high = shape.sill, float(_shoulder(shape, np.array(x)))
        widest = float(np.interp(-x, -self.x, self._widest()))
        return widest - float(through(_SIDE, (z - low) / (high - low)))

    def _widest(self) -> Array:
        return _outline(self.shape, self.u)[1]


def front_of(shape: Shape) -> float:
    """X of the nose."""
    return shape.length / 2


def axles(shape: Shape) -> tuple[float, float]:
    """X of the front and the rear axle."""
    front = front_of(shape) - shape.overhang
    return front, front - shape.wheelbase


def bed_of(shape: Shape) -> tuple[float, float]:
    """X of the front and the rear end of a pickup's bed."""
    return front_of(shape) - shape.rear - 0.06, -shape.length / 2 + 0.17


def build_body(shape: Shape, cabin: Array) -> Body:
    """Wraps the skin.

    Args:
        shape: measures.
        cabin: (K, 2) half outline of the cabin's foot, front to rear; there the top is left open.
    """
    u = _nodes(shape)
    x, y, normal = _outline(shape, u)
    shoulder, low = _shoulder(shape, x), _lower_edge(shape, x, y)
    share = np.linspace(0.0, 1.0, _SIDE_ROWS)[None, :]
    # the rows above the wheel arches do not feel them, so the shoulder stays smooth
    plain = shape.sill + (shoulder - shape.sill) * _FREE
    upper = np.maximum(plain, np.minimum(2 * shape.wheel + ARCH_GAP + 0.025, plain + 0.7 * (shoulder - plain)))
    below, above = np.minimum(share / _FREE, 1.0), np.maximum(share - _FREE, 0.0) / (1 - _FREE)
    z = low[:, None] + (upper - low)[:, None] * below + (shoulder - upper)[:, None] * above
    relative = (z - shape.sill) / (shoulder - shape.sill)[:, None]
    ends = np.where(normal[:, :1] > 0, through(_NOSE, relative), through(_TAIL, relative))
    inset = normal[:, :1] ** 2 * ends + normal[:, 1:] ** 2 * through(_SIDE, relative)
    inset = inset - _flare(shape, x[:, None], z) * normal[:, 1:] ** 2
    side = np.stack([x[:, None] - inset * normal[:, :1], y[:, None] - inset * normal[:, 1:], z], axis=-1)
    side[..., 1] = np.maximum(side[..., 1], 0.0)
    side[0, :, 1] = side[-1, :, 1] = 0.0
    edge = side[:, -1]

    across = (_BED_ROWS if shape.bed else _TOP_ROWS)[None, 1:]
    top_x = np.broadcast_to(edge[:, :1], (len(u), across.shape[1]))
    top = np.stack([top_x, edge[:, 1:2] * (1 - across), _top_height(shape, top_x, across)], axis=-1)
    if shape.bed:
        top[..., 2] -= _bed_depth(shape, top[..., 0], top[..., 1], edge[:, 1:2])
    points = _rounded(np.concatenate([side, top], axis=1), around=_SIDE_ROWS - 1)

    chart_side = BODY.texels(np.broadcast_to(u[:, None], z.shape), points[:, :_SIDE_ROWS, 2])
    chart_top = DECK.texels(points[:, _SIDE_ROWS - 1 :, 0], points[:, _SIDE_ROWS - 1 :, 1])
    sides = grid(points[:, :_SIDE_ROWS], chart_side)
    keep = _outside(points[:, _SIDE_ROWS - 1 :], cabin)
    in_bed = keep & _inside_bed(shape, points[:, _SIDE_ROWS - 1 :])
    tops = grid(points[:, _SIDE_ROWS - 1 :], chart_top, keep=keep & ~in_bed)
    bed = grid(points[:, _SIDE_ROWS - 1 :], chart_top, keep=in_bed)
    lining = grid(points[:, :_SIDE_ROWS:2], chart_side[:, ::2])
    sides, tops = _one_normal_along_the_edge(sides, tops, len(u))
    return Body(shape, u, x, edge, _joined_sides(sides, tops), both_sides(lining), both_sides(bed))


def _joined_sides(sides: Mesh, tops: Mesh) -> Mesh:
    faces = np.concatenate([sides.faces, tops.faces + len(sides.points)])
    both = Mesh(
        np.concatenate([sides.points, tops.points]),
        np.concatenate([sides.normals, tops.normals]),
        np.concatenate([sides.uv, tops.uv]),
        faces,
    )
    return both_sides(both)


def _one_normal_along_the_edge(sides: Mesh, tops: Mesh, nodes: int) -> tuple[Mesh, Mesh]:
    """Side and top are charted apart but shaded as one."""
    side, top = sides.normals.reshape(nodes, -1, 3).copy(), tops.normals.reshape(nodes, -1, 3).copy()
    mean = side[:, -1] + top[:, 0]
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
    side[:, -1] = top[:, 0] = mean
    return (
        Mesh(sides.points, side.reshape(-1, 3), sides.uv, sides.faces),
        Mesh(tops.points, top.reshape(-1, 3), tops.uv, tops.faces),
    )


def _dense(shape: Shape) -> tuple[Array, Array]:
    angle = np.pi * smoothstep(0.0, 1.0, np.linspace(0.0, 1.0, 6000))
    line = superellipse(angle, front_of(shape), -front_of(shape), shape.width / 2, shape.square)
    return line, np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def _nodes(shape: Shape) -> Array:
    """Where the outline is cut, finer at the wheel arches, whose ends must be exact."""
    line, along = _dense(shape)
    radius = shape.wheel + ARCH_GAP
    half_circle = np.cos(np.linspace(0.0, np.pi, 25)) * (radius - 1e-4)
    wanted = np.concatenate([axle + np.append(half_circle, [radius + 1e-4, -radius - 1e-4]) for axle in axles(shape)])
    if shape.bed:
        wanted = np.append(wanted, [end + by for end in bed_of(shape) for by in (-0.012, 0.0, 0.012)])
    at_arches = np.interp(-wanted, -line[:, 0], along)
    even = np.linspace(0.0, along[-1], round(along[-1] / _STEP))
    kept = even[np.min(np.abs(even[:, None] - at_arches[None, :]), axis=1) > 0.02]
    return np.asarray(np.unique(np.concatenate([kept, at_arches])))


def _outline(shape: Shape, u: Array) -> tuple[Array, Array, Array]:
    line, along = _dense(shape)
    x, y = np.interp(u, along, line[:, 0]), np.interp(u, along, line[:, 1])
    tangent = np.gradient(line, along, axis=0)
    normal = np.stack([np.interp(u, along, -tangent[:, 1]), np.interp(u, along, tangent[:, 0])], axis=-1)
    normal = -normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return x, y, normal


def _shoulder(shape: Shape, x: Array) -> Array:
    s = front_of(shape) - x
    low, high = shape.belt
    deck = high if shape.upright and not shape.bed else shape.tail + 0.015
    return through(
        (
            (0.0, shape.nose),
            (0.10, shape.nose + 0.025),
            (0.45, shape.nose + 0.50 * (shape.bonnet - 0.06 - shape.nose) + 0.02),
            (shape.cowl, low),
            (shape.cowl + 0.3, low + 0.003),
            (min(shape.rear, shape.length - 0.3), deck if shape.bed else high),
            (shape.length - 0.16, deck),
            (shape.length, shape.tail - 0.03),
        ),
        s,
    )


def _top_height(shape: Shape, x: Array, q: Array) -> Array:
    """Height of the top at share ``q`` of the way from the shoulder to the middle."""
    s = front_of(shape) - x
    crown = through(
        (
            (0.0, 0.0),
            (0.12, 0.03),
            (0.5, 0.065),
            (shape.cowl, 0.075),
            (shape.cowl + 0.8, 0.04),
            (shape.length - 0.2, 0.03),
            (shape.length, 0.0),
        ),
        s,
    )
    if shape.bed:
        crown = crown * smoothstep(shape.rear + 0.1, shape.rear - 0.1, s)
    return _shoulder(shape, x) + crown * (1.0 - (1.0 - q) ** 4)


def _bed_depth(shape: Shape, x: Array, y: Array, edge_y: Array) -> Array:
    front, rear = bed_of(shape)
    inside = smoothstep(0.0, 0.012, front - x) * smoothstep(0.0, 0.012, x - rear)
    return (shape.tail - 0.62) * inside * (edge_y - y > 0.095 * edge_y) * 1.0


def _lower_edge(shape: Shape, x: Array, y: Array) -> Array:
    ends = 0.05 * (smoothstep(0.75, 0.0, front_of(shape) - x) + 1.6 * smoothstep(0.75, 0.0, front_of(shape) + x))
    low = shape.sill + ends
    radius = shape.wheel + ARCH_GAP
    for axle in axles(shape):
        inside = (np.abs(x - axle) < radius) & (y > 0.3 * shape.width)
        arch = shape.wheel + np.sqrt(np.maximum(radius**2 - (x - axle) ** 2, 0.0))
        low = np.where(inside, np.maximum(low, arch), low)
    return np.asarray(low)


def _flare(shape: Shape, x: Array, z: Array) -> Array:
    """How far the wings bulge round the wheel arches."""
    out = np.zeros(np.broadcast(x, z).shape)
    for axle in axles(shape):
        away = np.hypot(x - axle, z - shape.wheel) - shape.wheel - ARCH_GAP
        out += 0.020 * np.exp(-((away / 0.10) ** 2)) * smoothstep(shape.wheel - 0.15, shape.wheel + 0.15, z)
    return out


def _rounded(points: Array, *, around: int) -> Array:
    """Wears the shoulder round."""
    out = points.copy()
    for _ in range(3):
        part = slice(around - 2, around + 3)
        out[:, part] = (
            0.25 * out[:, around - 3 : around + 2] + 0.5 * out[:, part] + 0.25 * out[:, around - 1 : around + 4]
        )
    return out


def _inside_bed(shape: Shape, points: Array) -> NDArray[np.bool_]:
    """Which cells of the top are a pickup's bed: its floor and walls."""
    low = points[..., 2] < shape.tail - 0.08 if shape.bed else np.zeros(points.shape[:2], np.bool_)
    front, rear = bed_of(shape)
    low &= (points[..., 0] < front + 0.1) & (points[..., 0] > rear - 0.1)
    return np.asarray(low[:-1, :-1] | low[1:, :-1] | low[1:, 1:] | low[:-1, 1:])


def _outside(points: Array, cabin: Array) -> NDArray[np.bool_]:
    """Which cells of the top lie outside the cabin's foot, less a rim."""
    middle = (points[:-1, :-1] + points[1:, :-1] + points[1:, 1:] + points[:-1, 1:]) / 4
    half = np.interp(-middle[..., 0], -cabin[:, 0], cabin[:, 1], left=0.0, right=0.0)
    inner = (middle[..., 0] < cabin[0, 0] - 0.10) & (middle[..., 0] > cabin[-1, 0] + 0.10)
    return np.asarray(~(inner & (middle[..., 1] < half - 0.05)))
