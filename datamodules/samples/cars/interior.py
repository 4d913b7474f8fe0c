"""Interior visible through the windows: seats, dashboard and steering wheel."""

import numpy as np

from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.body_outline import front_of
from datamodules.samples.cars.cabin import foot_outline
from datamodules.samples.cars.design import Design, Shape
from datamodules.samples.cars.mesh import Mesh, grid, merge, translate
from datamodules.samples.cars.solids import Texel, superellipsoid, sweep

_CLOTH = Finish((0.045, 0.043, 0.042))
_DASH = Finish((0.020, 0.020, 0.020), coat=0.1)
_LEAN = 0.22  # slope of a backrest, meters per meter of height
_SIDEWAYS = 0.36


def build_interior(atlas: Atlas, design: Design) -> Mesh:
    """Floor, dashboard, steering wheel and as many rows of seats as fit under the roof."""
    shape = design.shape
    foot = foot_outline(shape)
    front, rear = float(foot[0, 0]), float(foot[-1, 0])
    cloth = atlas.swatch(design.lining if design.lining.color[0] > 0.06 else _CLOTH)
    dash = atlas.swatch(_DASH)
    belt, half = shape.belt[0], shape.width / 2 - 0.2
    parts = [
        _floor(front, rear, half, dash),
        translate(superellipsoid((0.30, half, 0.13), 4.0, dash), (front - 0.42, 0.0, belt - 0.06)),
    ]
    parts.append(_steering_wheel(front - 0.80, _SIDEWAYS, belt + 0.03, dash))
    for row in range(3):
        x = front - 1.33 - 0.86 * row
        room = _headroom(shape, x - 0.16) - belt
        if x < rear + 0.30 or room < 0.16 or (shape.bed and row):
            break
        parts += [translate(_seat(min(0.38, room - 0.05), cloth, dash), (x, y, belt)) for y in (_SIDEWAYS, -_SIDEWAYS)]
    return merge(parts)


def _headroom(shape: Shape, x: float) -> float:
    """Height of the roof or the rear window above a position on the center line."""
    s = front_of(shape) - x
    slope = (shape.height - 0.06 - shape.belt[1]) / max(shape.rear - shape.roof_rear, 0.05)
    return min(shape.height - 0.06, shape.height - 0.06 - slope * (s - shape.roof_rear))


def _seat(top: float, cloth: Texel, stem: Texel) -> Mesh:
    """A backrest with a head restraint up to ``top`` meters above the belt line, which is its origin."""
    back = superellipsoid((0.085, 0.24, 0.30), 3.4, cloth, steps=8)
    leaning = back.points.copy()
    leaning[:, 0] -= _LEAN * leaning[:, 2]
    back = Mesh(leaning, back.normals, back.uv, back.faces)
    parts = [translate(back, (0.0, 0.0, min(-0.10, top - 0.35)))]
    if top > 0.22:
        parts.append(translate(superellipsoid((0.05, 0.13, 0.08), 3.0, cloth, steps=7), (-0.09, 0.0, top - 0.08)))
        parts.append(sweep([(-0.07, 0.0, top - 0.26), (-0.08, 0.0, top - 0.12)], [0.022, 0.022], stem))
    return merge(parts)


def _floor(front: float, rear: float, half: float, texel: Texel) -> Mesh:
    """The floor in small pieces, so that the depth order is correct."""
    x, y = np.meshgrid(np.linspace(front, rear, 12), np.linspace(half, -half, 8), indexing="ij")
    points = np.stack([x, y, np.full_like(x, 0.42)], axis=-1)
    return grid(points, np.broadcast_to(np.array(texel), (12, 8, 2)).copy())


def _steering_wheel(x: float, y: float, z: float, texel: Texel) -> Mesh:
    turn = np.linspace(0, 2 * np.pi, 22)
    path = [(x + 0.075 * float(np.sin(t)), y + 0.185 * float(np.cos(t)), z + 0.165 * float(np.sin(t))) for t in turn]
    return sweep(path, [0.016] * len(path), texel, around=5)
