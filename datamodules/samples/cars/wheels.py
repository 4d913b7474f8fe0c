"""Wheels: tyre, rim, brake disc and wheel house."""

import numpy as np

from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.body import Body
from datamodules.samples.cars.body_outline import ARCH_GAP, axles
from datamodules.samples.cars.charts import WHEEL
from datamodules.samples.cars.curves import Array, smoothstep
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.mesh import Mesh, Part, both_sides, grid, merge, translate
from datamodules.samples.cars.solids import revolve

RUBBER = Finish((0.020, 0.020, 0.021), coat=0.05)
_TREAD = Finish((0.014, 0.014, 0.015))
_DARK = Finish((0.004, 0.004, 0.004))
_IRON = Finish((0.16, 0.155, 0.15), metal=0.5, gloss=0.1)
_BARREL = Finish((0.05, 0.05, 0.05), metal=0.3, gloss=0.1)


def draw_wheel(atlas: Atlas, design: Design) -> None:
    """Draws the rim into the atlas: spokes, nuts and transparent holes."""
    hole = Finish((1.0, 1.0, 1.0), see=1.0)
    atlas.fill(WHEEL, hole)
    rim = rim_radius(design)
    rows, columns = np.mgrid[0 : WHEEL.height, 0 : WHEEL.width]
    x, y = (columns + 0.5) / WHEEL.scale + WHEEL.u0, WHEEL.v1 - (rows + 0.5) / WHEEL.scale
    radius, angle = np.hypot(x, y) / rim, np.arctan2(y, x)
    step = 2 * np.pi / design.spokes
    off = np.abs((angle + np.pi / 2 + step / 2) % step - step / 2) * radius  # sideways from the nearest spoke, in rims
    pixel = 1 / (WHEEL.scale * rim)
    width = 0.40 / design.spokes + 0.16 / design.spokes * radius
    if design.twin_spokes:
        apart = 0.05 + 0.55 / design.spokes * radius
        off, width = np.abs(off - apart * 0.5), width * 0.62
    spoke = smoothstep(width + pixel, width - pixel, off)
    hub = smoothstep(0.27 + pixel, 0.27 - pixel, radius)
    lip = smoothstep(0.90 - pixel, 0.90 + pixel, radius)
    metal = np.maximum(np.maximum(spoke, hub), lip)
    atlas.fill_mask(WHEEL, metal.astype(np.float32), design.rim)
    crown = np.maximum(smoothstep(width, 0.25 * width, off), smoothstep(0.27, 0.18, radius))
    atlas.raise_map(WHEEL, (0.006 * crown + 0.003 * smoothstep(0.86, 0.95, radius)).astype(np.float32))
    for k in range(5):
        at = 2 * np.pi * k / 5 + 0.3
        bolt = np.hypot(x / rim - 0.17 * np.cos(at), y / rim - 0.17 * np.sin(at))
        atlas.fill_mask(WHEEL, smoothstep(0.034, 0.024, bolt).astype(np.float32), _DARK)
    atlas.fill_mask(
        WHEEL, smoothstep(0.095, 0.085, radius).astype(np.float32), Finish((0.05, 0.05, 0.055), coat=0.8, gloss=1.0)
    )


def rim_radius(design: Design) -> float:
    """Radius of the rim in meters."""
    return design.shape.wheel * 0.735


def build_wheels(atlas: Atlas, design: Design, body: Body) -> tuple[list[Part], Mesh]:
    """All four wheels.

    Returns:
        What is seen from outside, and what is seen only through the holes of the rims.
    """
    shape = design.shape
    pieces, inside = _left_wheel(atlas, design)
    outer: list[Part] = []
    inner = []
    for axle in axles(shape):
        y = body.side(axle, shape.wheel + 0.12) + 0.004
        place = (axle, y, shape.wheel)
        outer += [Part(both_sides(translate(piece, place))) for piece in [*pieces, _wheel_house(atlas, body, place)]]
        inner.append(both_sides(translate(inside, place)))
    return outer, merge(inner)


def _left_wheel(atlas: Atlas, design: Design) -> tuple[list[Mesh], Mesh]:
    """Tyre, lip and face of a wheel at the origin, and the parts behind its face."""
    r, rim = design.shape.wheel, rim_radius(design)
    rubber, tread = atlas.swatch(RUBBER), atlas.swatch(_TREAD)
    wall = revolve(
        [
            (rim * 0.985, -0.014),
            (rim * 1.03, -0.004),
            (rim + 0.28 * (r - rim), 0.001),
            (rim + 0.32 * (r - rim), -0.003),
            (rim + 0.5 * (r - rim), 0.0),
            (rim + 0.75 * (r - rim), -0.006),
            (r * 0.985, -0.026),
        ],
        rubber,
    )
    band = revolve([(r * 0.985, -0.026), (r, -0.05), (r, -0.19), (r * 0.97, -0.215), (rim, -0.22)], tread)
    lip = revolve([(rim * 0.955, -0.012), (rim * 0.972, -0.008), (rim * 0.985, -0.014)], atlas.swatch(design.rim))
    barrel = revolve([(0.5 * rim, -0.17), (rim * 0.9, -0.17), (rim * 0.965, -0.02)], atlas.swatch(_BARREL))
    back = revolve([(0.0, -0.16), (0.6 * rim, -0.16)], atlas.swatch(_DARK))
    disc = revolve([(0.0, -0.105), (0.66 * rim, -0.105)], atlas.swatch(_IRON))
    return [merge([wall, band]), lip, _rim_face(rim)], merge([barrel, back, disc])


def _rim_face(rim: float) -> Mesh:
    """The curved face of the rim, with a flat chart."""
    radius = rim * np.array([0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.955])
    depth = -0.012 - 0.022 * np.cos(np.minimum(radius / rim, 1.0) * np.pi / 2) ** 0.8
    angle = np.linspace(0.0, 2 * np.pi, 37)[:, None]
    x, z = radius * np.cos(angle), radius * np.sin(angle)
    points: Array = np.stack([x, np.broadcast_to(depth, x.shape), z], axis=-1)
    return grid(points, WHEEL.texels(x, z), closed=True)


def _wheel_house(atlas: Atlas, body: Body, place: tuple[float, float, float]) -> Mesh:
    """A dark half cylinder around the wheel, from the body inwards."""
    axle, face, hub = place
    low, radius = body.shape.sill + 0.03 - hub, hub + ARCH_GAP + 0.004
    angle = np.linspace(0.0, np.pi, 25)
    arch = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    arch = np.concatenate([[[radius, low]], arch, [[-radius, low]]])
    skin = [
        body.side(axle + float(x), hub + float(z)) + 0.008 * float(smoothstep(-0.15, 0.15, z)) - face - 0.010
        for x, z in arch
    ]
    y = np.stack([np.array(skin), *(np.full(len(arch), depth) for depth in (-0.22, -0.40, -0.40))], axis=-1)
    flat = arch[:, None] * np.array([1.0, 1.0, 1.0, 0.0])[None, :, None]
    points = np.stack([flat[..., 0], y, flat[..., 1]], axis=-1)
    return grid(points, np.broadcast_to(atlas.swatch(_DARK), (*y.shape, 2)).copy(), flip=True)
