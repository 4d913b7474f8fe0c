"""What is fastened to a car: mirrors, handles, aerial, rails, wipers, plates, seats."""

import numpy as np

from datamodules.sample_cars.atlas import PLATE_FRONT, PLATE_REAR, Atlas, Chart, Finish
from datamodules.sample_cars.body import Body, axles, front_of
from datamodules.sample_cars.cabin import Cabin, foot_outline
from datamodules.sample_cars.curves import Array
from datamodules.sample_cars.design import Design
from datamodules.sample_cars.mesh import Mesh, both_sides, grid, joined, moved
from datamodules.sample_cars.solids import pod, rod

BLACK = Finish((0.012, 0.012, 0.013), coat=0.5, gloss=0.5)
CHROME = Finish((0.72, 0.72, 0.73), metal=0.9, gloss=1.0)
_MIRROR = Finish((0.75, 0.77, 0.80), metal=1.0, gloss=1.0)
_CLOTH = Finish((0.045, 0.043, 0.042))
_DASH = Finish((0.020, 0.020, 0.020), coat=0.1)


def fittings(atlas: Atlas, design: Design, body: Body, cabin: Cabin) -> Mesh:
    """Everything fastened outside."""
    parts = [mirrors(atlas, design, body), _handles(atlas, design, body), _plates(design), _pipes(atlas, design)]
    parts += [_wipers(atlas, cabin)]
    if design.mast > 0:
        parts.append(_mast(atlas, design))
    if design.shape.rails:
        parts.append(_rails(atlas, design, cabin))
    return joined(parts)


def mirrors(atlas: Atlas, design: Design, body: Body) -> Mesh:
    """Both wing mirrors."""
    shape = design.shape
    x = front_of(shape) - shape.cowl - 0.42
    y, z = body.side(x, shape.belt[0] - 0.02) + 0.11, shape.belt[0] + 0.085
    tall = 0.075 if shape.height < 1.6 else 0.105
    shell = moved(pod((0.065, 0.105, tall), 3.0, atlas.swatch(design.paint)), (x, y, z))
    low = moved(pod((0.06, 0.095, 0.03), 2.6, atlas.swatch(BLACK)), (x, y - 0.01, z - tall * 0.82))
    glass = moved(pod((0.012, 0.088, tall * 0.80), 5.0, atlas.swatch(_MIRROR)), (x - 0.058, y, z))
    arm = rod(
        [(x + 0.02, y - 0.16, z - 0.10), (x + 0.01, y - 0.08, z - 0.065), (x, y - 0.02, z - 0.045)],
        [0.035, 0.026, 0.022],
        atlas.swatch(BLACK),
    )
    return both_sides(joined([shell, low, glass, arm]))


def _handles(atlas: Atlas, design: Design, body: Body) -> Mesh:
    finish = CHROME if design.chrome else design.paint
    parts = []
    for x, z in handle_places(design):
        y = body.side(x, z)
        grip = pod((0.095, 0.016, 0.014), 3.5, atlas.swatch(finish), steps=8)
        parts.append(moved(grip, (x, y + 0.018, z)))
    return both_sides(joined(parts))


def door_lines(design: Design) -> list[float]:
    """X of the doors' shut lines."""
    shape = design.shape
    front, rear = axles(shape)
    first, last = front - shape.wheel - 0.13, rear + shape.wheel * 0.35
    return [first + share * (last - first) for share in shape.doors]


def handle_places(design: Design) -> list[tuple[float, float]]:
    """(x, z) of the door handles of one side."""
    low, high = design.shape.belt
    return [(x + 0.17, (low + high) / 2 - 0.115) for x in door_lines(design)[1:]]


def _plates(design: Design) -> Mesh:
    shape = design.shape
    x = front_of(shape)
    front = _plate(PLATE_FRONT, (x + 0.005, shape.nose - 0.30), forward=True)
    height = shape.tail - 0.30 if not shape.bed else 0.62
    rear = _plate(PLATE_REAR, (-x - 0.008, height), forward=False)
    return joined([front, rear])


def _plate(chart: Chart, place: tuple[float, float], *, forward: bool) -> Mesh:
    y, z = np.meshgrid(np.linspace(-0.26, 0.26, 9), np.linspace(-0.065, 0.065, 3), indexing="ij")
    sign = 1.0 if forward else -1.0
    points = np.stack([np.full_like(y, place[0]), sign * y, place[1] + z], axis=-1)
    return grid(points, chart.texels(y, z))


def _pipes(atlas: Atlas, design: Design) -> Mesh:
    x, z = -front_of(design.shape), design.shape.sill + 0.03
    return both_sides(
        rod(
            [(x + 0.30, 0.52, z), (x + 0.04, 0.52, z), (x + 0.035, 0.52, z)],
            [0.034, 0.034, 0.0],
            atlas.swatch(CHROME),
            around=12,
        )
    )


def _mast(atlas: Atlas, design: Design) -> Mesh:
    shape = design.shape
    long = design.mast > 0.6
    if long:  # on the wing, as pickups and older cars have it
        x, y = front_of(shape) - shape.cowl + 0.22, -(shape.width / 2 - 0.17)
        z = shape.belt[0] - 0.02
    else:
        x, y = front_of(shape) - shape.roof_rear + 0.16, 0.0
        z = float(shape.height - 0.045)
    lean = 0.30 if long else 0.62
    path = [(x - lean * design.mast * t, y, z + design.mast * t) for t in (0.0, 0.06, 0.5, 1.0)]
    return rod(path, [0.012, 0.0055, 0.004, 0.003], atlas.swatch(BLACK), around=5)


def _rails(atlas: Atlas, design: Design, cabin: Cabin) -> Mesh:
    roof = cabin.roof[(cabin.roof[:, 1] > 0.93 * cabin.roof[:, 1].max())]
    inset, lift = 0.035, np.full(len(roof), 0.075)
    lift[0] = lift[-1] = 0.012
    path = [(x, y - inset, z + up) for (x, y, z), up in zip(roof, lift, strict=True)]
    finish = CHROME if design.chrome else BLACK
    return both_sides(rod([tuple(map(float, p)) for p in path], [0.017] * len(path), atlas.swatch(finish)))  # type: ignore[misc]


def _wipers(atlas: Atlas, cabin: Cabin) -> Mesh:
    points = cabin.outer.points.reshape(2, 91, -1, 3)
    parts = []
    for side, (start, end) in ((0, (3, 19)), (1, (16, 1))):
        picks = np.linspace(start, end, 8).round().astype(int)
        line = points[side, picks, 1] + [0.016, 0.0, 0.012]
        parts.append(rod([tuple(map(float, p)) for p in line], [0.007] * len(line), atlas.swatch(BLACK), around=4))  # type: ignore[misc]
    return joined(parts)


def interior(atlas: Atlas, design: Design) -> Mesh:
    """Seats, dashboard and steering wheel, as far as they are seen through the windows."""
    shape = design.shape
    foot = foot_outline(shape)
    front, rear = float(foot[0, 0]), float(foot[-1, 0])
    cloth = atlas.swatch(design.lining if design.lining.colour[0] > 0.06 else _CLOTH)
    dash = atlas.swatch(_DASH)
    belt, half = shape.belt[0], shape.width / 2 - 0.2
    floor = grid(
        np.array([[[front, half, 0.42], [front, -half, 0.42]], [[rear, half, 0.42], [rear, -half, 0.42]]]),
        np.broadcast_to(np.array(dash), (2, 2, 2)).copy(),
        flip=True,
    )
    parts = [_fine(floor), moved(pod((0.30, half, 0.13), 4.0, dash), (front - 0.42, 0.0, belt - 0.06))]
    rows = [front - 1.33] + ([] if shape.bed else [front - 2.18])
    if shape.name == "Van":
        rows.append(front - 3.0)
    for x in [x for x in rows if x > rear + 0.35]:
        for y in (0.36, -0.36):
            back = pod((0.085, 0.24, 0.33), 3.4, cloth)
            lean = back.points[:, 2] * -0.22
            back = Mesh(back.points + np.stack([lean, 0 * lean, 0 * lean], axis=-1), back.normals, back.uv, back.faces)
            parts += [
                moved(back, (x, y, belt - 0.10)),
                moved(pod((0.05, 0.13, 0.085), 3.0, cloth), (x - 0.09, y, belt + 0.30)),
            ]
            parts += [rod([(x - 0.07, y, belt + 0.15), (x - 0.08, y, belt + 0.26)], [0.05, 0.05], dash)]
    parts.append(_steering_wheel(front - 0.80, 0.37, belt + 0.03, dash))
    return joined(parts)


def _fine(mesh: Mesh) -> Mesh:
    """A flat four-cornered mesh cut into small ones, as the painter's order wants."""
    a, b, c, d = (mesh.points[k] for k in (0, 1, 2, 3))
    s, t = np.meshgrid(np.linspace(0, 1, 12), np.linspace(0, 1, 8), indexing="ij")
    s, t = s[..., None], t[..., None]
    points: Array = (a * (1 - t) + b * t) * (1 - s) + (c * (1 - t) + d * t) * s
    return grid(points, np.broadcast_to(mesh.uv[0], (12, 8, 2)).copy(), flip=True)


def _steering_wheel(x: float, y: float, z: float, texel: tuple[float, float]) -> Mesh:
    turn = np.linspace(0, 2 * np.pi, 22)
    path = [(x + 0.075 * np.sin(t), y + 0.185 * np.cos(t), z + 0.165 * np.sin(t)) for t in turn]
    return rod(path, [0.016] * len(path), texel, around=5)
