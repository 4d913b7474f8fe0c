"""Draws the body into the atlas: paint, gaps, grille, lamps and plates."""

import cv2
import numpy as np

from datamodules.samples.cars.accessories import BLACK, door_edges, handle_places
from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.body import Body
from datamodules.samples.cars.body_outline import ARCH_GAP, axles, bed_of, front_of
from datamodules.samples.cars.cabin import foot_outline
from datamodules.samples.cars.charts import BODY, DECK, PLATE_FRONT, PLATE_REAR, Chart
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.front_texture import box, circle, draw_nose
from datamodules.samples.cars.rear_texture import draw_tail

_INSIDE = Finish((0.010, 0.010, 0.010))
_AMBER = Finish((0.62, 0.14, 0.010), coat=1.0, gloss=1.0)


def draw_body(atlas: Atlas, design: Design, body: Body) -> None:
    """Draws sides, front and rear."""
    atlas.fill(BODY, design.paint)
    _sides(atlas, design, body)
    draw_nose(atlas, design)
    draw_tail(atlas, design, float(body.u[-1]))


def _sides(atlas: Atlas, design: Design, body: Body) -> None:
    shape = design.shape
    doors = door_edges(design)
    low, (belt, belt_rear) = shape.sill, shape.belt
    end = float(body.u[-1])
    strip = 0.13 if shape.rugged else 0.065
    atlas.area(BODY, [(0.3, 0), (end - 0.3, 0), (end - 0.3, low + strip), (0.3, low + strip)], BLACK)
    atlas.raise_stroke(BODY, [(0.6, low + strip), (end - 0.6, low + strip)], 0.012, -0.004, soft=0.006)
    for axle in axles(shape):
        u = body.u_at(axle)
        arch = [
            (u + np.cos(t) * r, shape.wheel + np.sin(t) * r)
            for t in np.linspace(-0.5, np.pi + 0.5, 40)
            for r in (shape.wheel + ARCH_GAP,)
        ]
        if shape.rugged:
            atlas.stroke(BODY, arch, 0.11, BLACK)
        atlas.raise_stroke(BODY, arch, 0.045, 0.007, soft=0.009)
        atlas.stroke(BODY, arch, 0.010, _INSIDE)
    # character lines: one below the windows, one low on the doors
    first, last = body.u_at(axles(shape)[0]), body.u_at(axles(shape)[1])
    shoulder = [
        (0.75 * first, belt - 0.20),
        (first, belt - 0.165),
        (last, belt_rear - 0.150),
        (end - 0.75, belt_rear - 0.16),
    ]
    atlas.raise_stroke(BODY, shoulder, 0.035, 0.0055, soft=0.014)
    lower = [
        (first + shape.wheel + 0.15, low + 0.20),
        ((first + last) / 2, low + 0.215),
        (last - shape.wheel - 0.12, low + 0.27),
    ]
    atlas.raise_stroke(BODY, lower, 0.05, -0.007, soft=0.020)
    bottom = low + strip + 0.03
    for k, x in enumerate(doors):
        u = body.u_at(x)
        if k == len(doors) - 1 and not shape.bed:  # the rear door follows the wheel arch
            atlas.gap(
                BODY,
                [(u, 1.3), (u, belt - 0.12), (u - 0.05, belt - 0.30), (u - 0.19, bottom + 0.14), (u - 0.22, bottom)],
            )
        else:
            atlas.gap(BODY, [(u, 1.3), (u, belt - 0.15), (u - 0.015, 0.5 * (belt + bottom)), (u, bottom)])
    atlas.gap(BODY, [(body.u_at(doors[0]), bottom), (body.u_at(doors[-1]) - (0.22 if not shape.bed else 0.0), bottom)])
    if shape.bed:
        u = body.u_at(bed_of(shape)[0] + 0.03)
        atlas.gap(BODY, [(u, 1.3), (u, low + strip)])
    for x, z in handle_places(design):
        u = body.u_at(x)
        cup = [(u - 0.055, z - 0.03), (u + 0.055, z - 0.03), (u + 0.055, z + 0.022), (u - 0.055, z + 0.022)]
        atlas.raise_area(BODY, cup, -0.010, round_by=0.02, soft=0.010)
    flap = belt_rear - 0.235
    if flap - 0.075 > 2 * shape.wheel + ARCH_GAP + 0.05:
        atlas.gap(BODY, circle(body.u_at(axles(shape)[1]) + 0.10, flap, 0.075))
    marker = body.u_at(axles(shape)[0] + shape.wheel + 0.12)
    atlas.area(BODY, box(marker - 0.05, shape.nose - 0.245, marker + 0.05, shape.nose - 0.215), _AMBER, round_by=0.01)


def draw_deck(atlas: Atlas, design: Design) -> None:
    """Draws bonnet, boot lid or bed, and the rim of the cabin."""
    shape = design.shape
    front, half = front_of(shape), shape.width / 2
    atlas.fill(DECK, design.paint)
    cowl = front - shape.cowl
    line = [
        (cowl - 0.16, half - 0.165),
        (cowl + 0.25, half - 0.175),
        (front - 0.55, half - 0.20),
        (front - 0.28, half - 0.33),
    ]
    atlas.gap(DECK, line)
    crease = [(cowl, 0.52 * half), (front - 0.6, 0.46 * half), (front - 0.2, 0.36 * half)]
    atlas.raise_stroke(DECK, crease, 0.05, 0.008, soft=0.022)
    # the dark gap in which the wipers lie
    foot = foot_outline(shape)
    rim = [(float(x) + 0.055, float(y)) for x, y in foot if x > cowl - 0.22]
    atlas.stroke(DECK, [(rim[0][0], -0.02), *rim], 0.10, BLACK)
    inside = [(float(x) - 0.02 * float(np.sign(x - foot[:, 0].mean())), max(float(y) - 0.02, -0.02)) for x, y in foot]
    atlas.area(DECK, [(inside[0][0], -0.05), *inside, (inside[-1][0], -0.05)], _INSIDE)
    if not shape.upright:
        back = -front
        lid = front - shape.rear - 0.02
        atlas.gap(
            DECK,
            [(lid - 0.03, -0.02), (lid - 0.05, half - 0.33), (lid - 0.12, half - 0.25), (back + 0.05, half - 0.30)],
        )


def draw_plates(atlas: Atlas, design: Design) -> None:
    """Draws the number plates."""
    for chart in (PLATE_FRONT, PLATE_REAR):
        atlas.fill(chart, Finish((0.80, 0.80, 0.78), coat=0.25, gloss=0.3))
        atlas.stroke(
            chart, [(-0.257, -0.062), (0.257, -0.062), (0.257, 0.062), (-0.257, 0.062), (-0.257, -0.062)], 0.006, BLACK
        )
        atlas.area(chart, box(-0.262, 0.040, 0.262, 0.066), Finish((0.02, 0.13, 0.42)))
        atlas.fill_mask(chart, _text_mask(chart, design.plate, 2.1, 6, 0.0, -0.012), Finish((0.02, 0.02, 0.025)))
        atlas.fill_mask(chart, _text_mask(chart, "DARKROOM", 0.62, 2, 0.0, 0.053), Finish((0.8, 0.8, 0.8)))


def _text_mask(
    chart: Chart, words: str, size: float, thick: int, u: float, v: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Mask of the chart's size with text centered at (u, v)."""
    mask = np.zeros((chart.height, chart.width), np.uint8)
    font = cv2.FONT_HERSHEY_DUPLEX
    (width, height), _ = cv2.getTextSize(words, font, size, thick)
    at = (round((u - chart.u0) * chart.scale - width / 2), round((chart.v1 - v) * chart.scale + height / 2))
    cv2.putText(mask, words, at, font, size, 255, thick, cv2.LINE_AA)
    return (mask / 255).astype(np.float32)
