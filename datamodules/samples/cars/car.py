"""Builds the meshes and the texture atlas of one car."""

from dataclasses import dataclass, replace

import numpy as np

from datamodules.samples.cars.accessories import build_accessories, build_mirrors
from datamodules.samples.cars.atlas import Atlas, Finish, FinishedAtlas
from datamodules.samples.cars.body import build_body
from datamodules.samples.cars.body_texture import draw_body, draw_deck, draw_plates
from datamodules.samples.cars.cabin import build_cabin, foot_outline
from datamodules.samples.cars.cabin_texture import draw_cabin
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.interior import build_interior
from datamodules.samples.cars.mesh import Part, flip_inside_out
from datamodules.samples.cars.wheels import build_wheels, draw_wheel

_BED = Finish((0.022, 0.022, 0.023), coat=0.15)


@dataclass(frozen=True)
class Car:
    """A car ready to render.

    Attributes:
        design: the design it was built from.
        outer: parts seen from outside.
        inner: parts seen only through glass, arches and holes; they lie behind all of ``outer``.
        atlas: their texture.
    """

    design: Design
    outer: tuple[Part, ...]
    inner: tuple[Part, ...]
    atlas: FinishedAtlas


def build_car(design: Design) -> Car:
    """Builds meshes and atlas."""
    atlas = Atlas()
    body = build_body(design.shape, foot_outline(design.shape))
    cabin = build_cabin(design.shape, body)
    draw_body(atlas, design, body)
    draw_deck(atlas, design)
    draw_plates(atlas, design)
    draw_cabin(atlas, design, cabin)
    draw_wheel(atlas, design)
    lining = np.array(atlas.swatch(Finish((0.03, 0.029, 0.028))))
    shell = flip_inside_out(body.lining, np.broadcast_to(lining, body.lining.uv.shape))
    wheel_outer, wheel_inner = build_wheels(atlas, design, body)
    # the camera is above the body's shoulder, so the cabin covers the body where both are visible
    outer = [
        Part(body.mesh),
        Part(cabin.outer, nearer=0.25),
        *wheel_outer,
        *build_accessories(atlas, design, body, cabin),
    ]
    if design.shape.bed:
        plastic = np.array(atlas.swatch(_BED))
        outer.append(Part(replace(body.bed, uv=np.broadcast_to(plastic, body.bed.uv.shape))))
    inside = (shell, cabin.inner, build_interior(atlas, design), *build_mirrors(atlas, design, body), wheel_inner)
    return Car(design, tuple(outer), tuple(map(Part, inside)), atlas.finish())
