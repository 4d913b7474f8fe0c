"""Accessories of a car: mirrors, handles, aerial, rails, wipers, plates and exhaust pipes."""

from dataclasses import replace

import numpy as np

from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.body import Body
from datamodules.samples.cars.body_outline import axles, front_of
from datamodules.samples.cars.cabin import NODES, Cabin
from datamodules.samples.cars.charts import PLATE_FRONT, PLATE_REAR, Chart
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.mesh import Mesh, Part, both_sides, grid, merge, translate
from datamodules.samples.cars.solids import superellipsoid, sweep

BLACK = Finish((0.012, 0.012, 0.013), coat=0.5, gloss=0.5)
CHROME = Finish((0.70, 0.70, 0.71), metal=0.9, gloss=0.45)
_MIRROR = Finish((0.75, 0.77, 0.80), metal=1.0, gloss=1.0)


_ON_TOP = 0.30  # offset in the depth order; triangles of the body may reach out further


def build_accessories(atlas: Atlas, design: Design, body: Body, cabin: Cabin) -> list[Part]:
    """All parts attached to the outside of the car."""
    flat = [_handles(atlas, design, body), *_plates(design), _wipers(atlas, cabin)]
    if design.mast > 0:
        flat.append(_mast(atlas, design))
    if design.shape.rails:
        flat.append(_rails(atlas, design, cabin))
    parts = [Part(mesh, nearer=_ON_TOP) for mesh in [*build_mirrors(atlas, design, body), *flat]]
    return [*parts, Part(_pipes(atlas, design))]


def build_mirrors(atlas: Atlas, design: Design, body: Body) -> list[Mesh]:
    """Both wing mirrors: shells, undersides, glass and arms."""
    shape = design.shape
    x = front_of(shape) - shape.cowl - 0.42
    y, z = body.side(x, shape.belt[0] - 0.02) + 0.11, shape.belt[0] + 0.085
    tall = 0.075 if shape.height < 1.6 else 0.105
    shell = translate(superellipsoid((0.065, 0.105, tall), 3.6, atlas.swatch(design.paint), steps=12), (x, y, z))
    facing = shell.normals[shell.faces].mean(axis=1)
    low = shell.points[shell.faces].mean(axis=1)[:, 2] < z - 0.62 * tall
    back = (facing[:, 0] < -0.75) & ~low
    glass = replace(shell, faces=shell.faces[back], uv=np.broadcast_to(atlas.swatch(_MIRROR), shell.uv.shape))
    under = replace(shell, faces=shell.faces[low], uv=np.broadcast_to(atlas.swatch(BLACK), shell.uv.shape))
    shell = replace(shell, faces=shell.faces[~back & ~low])
    arm = sweep(
        [(x + 0.02, y - 0.16, z - 0.10), (x + 0.01, y - 0.08, z - 0.065), (x, y - 0.02, z - 0.045)],
        [0.035, 0.026, 0.022],
        atlas.swatch(BLACK),
    )
    return [both_sides(piece) for piece in (arm, under, shell, glass)]


def _handles(atlas: Atlas, design: Design, body: Body) -> Mesh:
    finish = CHROME if design.chrome else design.paint
    parts = []
    for x, z in handle_places(design):
        y = body.side(x, z)
        grip = superellipsoid((0.095, 0.016, 0.014), 3.5, atlas.swatch(finish), steps=8)
        parts.append(translate(grip, (x, y + 0.018, z)))
    return both_sides(merge(parts))


def door_edges(design: Design) -> list[float]:
    """X of the door gaps."""
    shape = design.shape
    front, rear = axles(shape)
    first, last = front - shape.wheel - 0.13, rear + shape.wheel * 0.35
    return [first + share * (last - first) for share in shape.doors]


def handle_places(design: Design) -> list[tuple[float, float]]:
    """Positions (x, z) of the door handles of one side."""
    low, high = design.shape.belt
    return [(x + 0.17, (low + high) / 2 - 0.115) for x in door_edges(design)[1:]]


def _plates(design: Design) -> list[Mesh]:
    shape = design.shape
    x = front_of(shape)
    front = _plate(PLATE_FRONT, (x + 0.005, shape.nose - 0.30), forward=True)
    height = shape.tail - 0.30 if not shape.bed else 0.62
    rear = _plate(PLATE_REAR, (-x - 0.008, height), forward=False)
    return [front, rear]


def _plate(chart: Chart, place: tuple[float, float], *, forward: bool) -> Mesh:
    y, z = np.meshgrid(np.linspace(-0.26, 0.26, 9), np.linspace(-0.065, 0.065, 3), indexing="ij")
    sign = 1.0 if forward else -1.0
    points = np.stack([np.full_like(y, place[0]), sign * y, place[1] + z], axis=-1)
    return grid(points, chart.texels(y, z))


def _pipes(atlas: Atlas, design: Design) -> Mesh:
    x, z = -front_of(design.shape), design.shape.sill + 0.065
    return both_sides(
        sweep(
            [(x + 0.45, 0.52, z), (x + 0.15, 0.52, z), (x + 0.145, 0.52, z)],
            [0.034, 0.034, 0.0],
            atlas.swatch(CHROME),
            around=12,
        )
    )


def _mast(atlas: Atlas, design: Design) -> Mesh:
    shape = design.shape
    long = design.mast > 0.6
    if long:  # on the wing, as on pickups and older cars
        x, y = front_of(shape) - shape.cowl + 0.22, -(shape.width / 2 - 0.17)
        z = shape.belt[0] - 0.02
    else:
        x, y = front_of(shape) - shape.roof_rear + 0.16, 0.0
        z = float(shape.height - 0.045)
    lean = 0.30 if long else 0.62
    path = [(x - lean * design.mast * t, y, z + design.mast * t) for t in (0.0, 0.06, 0.5, 1.0)]
    return sweep(path, [0.012, 0.0055, 0.004, 0.003], atlas.swatch(BLACK), around=5)


def _rails(atlas: Atlas, design: Design, cabin: Cabin) -> Mesh:
    roof = cabin.roof[(cabin.roof[:, 1] > 0.93 * cabin.roof[:, 1].max())]
    inset, lift = 0.035, np.full(len(roof), 0.075)
    lift[0] = lift[-1] = 0.012
    path = [(x, y - inset, z + up) for (x, y, z), up in zip(roof, lift, strict=True)]
    finish = CHROME if design.chrome else BLACK
    return both_sides(sweep(np.array(path), [0.017] * len(path), atlas.swatch(finish)))


def _wipers(atlas: Atlas, cabin: Cabin) -> Mesh:
    points = cabin.outer.points.reshape(2, NODES, -1, 3)
    parts = []
    for side, (start, end) in ((0, (2, 16)), (1, (13, 1))):
        picks = np.linspace(start, end, 8).round().astype(int)
        line = points[side, picks, 1] + [0.016, 0.0, 0.012]
        parts.append(sweep(line, [0.007] * len(line), atlas.swatch(BLACK), around=4))
    return merge(parts)
