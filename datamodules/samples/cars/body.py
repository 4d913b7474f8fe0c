"""The lower body: one surface for bumpers, wings, doors and bonnet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.body_outline import (
    ARCH_GAP,
    bed_depth,
    bed_of,
    lower_edge,
    outline_at,
    outline_nodes,
    shoulder_height,
    top_height,
    wing_flare,
)
from datamodules.samples.cars.charts import BODY, DECK
from datamodules.samples.cars.curves import Array, monotone_cubic
from datamodules.samples.cars.design import Shape
from datamodules.samples.cars.mesh import Mesh, both_sides, grid

_SIDE_ROWS = 15
_FREE = 9 / 14  # fraction of the side's rows that are compressed above a wheel arch
_SIDE = ((0.0, 0.10), (0.07, 0.035), (0.22, 0.012), (0.46, 0.0), (0.70, 0.010), (0.90, 0.034), (1.0, 0.075))
_NOSE = ((0.0, 0.13), (0.12, 0.05), (0.30, 0.0), (0.45, 0.005), (0.60, 0.022), (0.85, 0.055), (1.0, 0.125))
_TAIL = ((0.0, 0.16), (0.12, 0.05), (0.30, 0.0), (0.45, 0.0), (0.52, 0.03), (0.80, 0.045), (1.0, 0.07))
# rows of the top, from the shoulder (0) to the center (1)
_TOP_ROWS = np.array([0.0, 0.025, 0.06, 0.11, 0.19, 0.32, 0.5, 0.75, 1.0])
_BED_ROWS = np.array([0.0, 0.02, 0.045, 0.075, 0.095, 0.105, 0.115, 0.16, 0.24, 0.36, 0.5, 0.66, 0.83, 1.0])


@dataclass(frozen=True)
class Body:
    """The body's surface, and its outline for the parts attached to it.

    Attributes:
        shape: the shape it was built from.
        u: (U,) meters along the outline from the center of the front.
        x: (U,) position along the car of the widest outline.
        edge: (U, 3) the shoulder, where side and top meet.
        mesh: the surface.
        lining: the part below the shoulder, coarser, visible from inside.
        bed: the bed of a pickup, not part of the surface; without faces for other cars.
    """

    shape: Shape
    u: Array
    x: Array
    edge: Array
    mesh: Mesh
    lining: Mesh
    bed: Mesh

    def u_at(self, x: float) -> float:
        """Metres along the outline at x along the side of the car."""
        return float(np.interp(-x, -self.x, self.u))

    def edge_y(self, x: Array) -> Array:
        """Half the width at the shoulder."""
        return np.asarray(np.interp(-x, -self.edge[:, 0], self.edge[:, 1]))

    def top(self, x: Array, y: Array) -> Array:
        """Height of the bonnet or deck."""
        q = np.clip(1.0 - np.abs(y) / np.maximum(self.edge_y(x), 1e-3), 0.0, 1.0)
        return top_height(self.shape, x, q)

    def side(self, x: float, z: float) -> float:
        """Half the width at a height of the side."""
        shape = self.shape
        low, high = shape.sill, float(shoulder_height(shape, np.array(x)))
        widest = float(np.interp(-x, -self.x, self._widest()))
        return widest - float(monotone_cubic(_SIDE, (z - low) / (high - low)))

    def _widest(self) -> Array:
        return outline_at(self.shape, self.u)[1]


def build_body(shape: Shape, cabin: Array) -> Body:
    """Builds the body.

    Args:
        shape: dimensions.
        cabin: (K, 2) half outline of the cabin's base, front to rear; the top is open there.
    """
    u = outline_nodes(shape)
    x, y, normal = outline_at(shape, u)
    shoulder, low = shoulder_height(shape, x), lower_edge(shape, x, y)
    share = np.linspace(0.0, 1.0, _SIDE_ROWS)[None, :]
    # the upper rows are independent of the wheel arches, so that the shoulder stays smooth
    plain = shape.sill + (shoulder - shape.sill) * _FREE
    upper = np.maximum(plain, np.minimum(2 * shape.wheel + ARCH_GAP + 0.025, plain + 0.7 * (shoulder - plain)))
    below, above = np.minimum(share / _FREE, 1.0), np.maximum(share - _FREE, 0.0) / (1 - _FREE)
    z = low[:, None] + (upper - low)[:, None] * below + (shoulder - upper)[:, None] * above
    relative = (z - shape.sill) / (shoulder - shape.sill)[:, None]
    ends = np.where(normal[:, :1] > 0, monotone_cubic(_NOSE, relative), monotone_cubic(_TAIL, relative))
    inset = normal[:, :1] ** 2 * ends + normal[:, 1:] ** 2 * monotone_cubic(_SIDE, relative)
    inset = inset - wing_flare(shape, x[:, None], z) * normal[:, 1:] ** 2
    side = np.stack([x[:, None] - inset * normal[:, :1], y[:, None] - inset * normal[:, 1:], z], axis=-1)
    side[..., 1] = np.maximum(side[..., 1], 0.0)
    side[0, :, 1] = side[-1, :, 1] = 0.0
    edge = side[:, -1]

    across = (_BED_ROWS if shape.bed else _TOP_ROWS)[None, 1:]
    top_x = np.broadcast_to(edge[:, :1], (len(u), across.shape[1]))
    top = np.stack([top_x, edge[:, 1:2] * (1 - across), top_height(shape, top_x, across)], axis=-1)
    if shape.bed:
        top[..., 2] -= bed_depth(shape, top[..., 0], top[..., 1], edge[:, 1:2])
    points = _round_shoulder(np.concatenate([side, top], axis=1), around=_SIDE_ROWS - 1)

    chart_side = BODY.texels(np.broadcast_to(u[:, None], z.shape), points[:, :_SIDE_ROWS, 2])
    chart_top = DECK.texels(points[:, _SIDE_ROWS - 1 :, 0], points[:, _SIDE_ROWS - 1 :, 1])
    sides = grid(points[:, :_SIDE_ROWS], chart_side)
    keep = _cells_outside_cabin(points[:, _SIDE_ROWS - 1 :], cabin)
    in_bed = keep & _bed_cells(shape, points[:, _SIDE_ROWS - 1 :])
    tops = grid(points[:, _SIDE_ROWS - 1 :], chart_top, keep=keep & ~in_bed)
    bed = grid(points[:, _SIDE_ROWS - 1 :], chart_top, keep=in_bed)
    lining = grid(points[:, :_SIDE_ROWS:2], chart_side[:, ::2])
    sides, tops = _share_edge_normals(sides, tops, len(u))
    return Body(shape, u, x, edge, _merge_sides(sides, tops), both_sides(lining), both_sides(bed))


def _merge_sides(sides: Mesh, tops: Mesh) -> Mesh:
    faces = np.concatenate([sides.faces, tops.faces + len(sides.points)])
    both = Mesh(
        np.concatenate([sides.points, tops.points]),
        np.concatenate([sides.normals, tops.normals]),
        np.concatenate([sides.uv, tops.uv]),
        faces,
    )
    return both_sides(both)


def _share_edge_normals(sides: Mesh, tops: Mesh, nodes: int) -> tuple[Mesh, Mesh]:
    """Gives side and top, which have separate charts, the same normals at their common edge."""
    side, top = sides.normals.reshape(nodes, -1, 3).copy(), tops.normals.reshape(nodes, -1, 3).copy()
    mean = side[:, -1] + top[:, 0]
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
    side[:, -1] = top[:, 0] = mean
    return (
        Mesh(sides.points, side.reshape(-1, 3), sides.uv, sides.faces),
        Mesh(tops.points, top.reshape(-1, 3), tops.uv, tops.faces),
    )


def _round_shoulder(points: Array, *, around: int) -> Array:
    """Rounds the shoulder."""
    out = points.copy()
    for _ in range(3):
        part = slice(around - 2, around + 3)
        out[:, part] = (
            0.25 * out[:, around - 3 : around + 2] + 0.5 * out[:, part] + 0.25 * out[:, around - 1 : around + 4]
        )
    return out


def _bed_cells(shape: Shape, points: Array) -> NDArray[np.bool_]:
    """Cells of the top that belong to the bed of a pickup."""
    low = points[..., 2] < shape.tail - 0.08 if shape.bed else np.zeros(points.shape[:2], np.bool_)
    front, rear = bed_of(shape)
    low &= (points[..., 0] < front + 0.1) & (points[..., 0] > rear - 0.1)
    return np.asarray(low[:-1, :-1] | low[1:, :-1] | low[1:, 1:] | low[:-1, 1:])


def _cells_outside_cabin(points: Array, cabin: Array) -> NDArray[np.bool_]:
    """Cells of the top outside the cabin's base, minus a rim."""
    middle = (points[:-1, :-1] + points[1:, :-1] + points[1:, 1:] + points[:-1, 1:]) / 4
    half = np.interp(-middle[..., 0], -cabin[:, 0], cabin[:, 1], left=0.0, right=0.0)
    inner = (middle[..., 0] < cabin[0, 0] - 0.10) & (middle[..., 0] > cabin[-1, 0] + 0.10)
    return np.asarray(~(inner & (middle[..., 1] < half - 0.05)))
