"""Draws a car's skin into the atlas: paint, gaps, grille, lamps and plates."""

import cv2
import numpy as np

from datamodules.sample_cars.atlas import BODY, DECK, PLATE_FRONT, PLATE_REAR, Atlas, Chart, Finish, Outline
from datamodules.sample_cars.body import ARCH_GAP, Body, axles, bed_of, front_of
from datamodules.sample_cars.cabin import foot_outline
from datamodules.sample_cars.design import Design
from datamodules.sample_cars.fittings import BLACK, CHROME, door_lines, handle_places

_INSIDE = Finish((0.010, 0.010, 0.010))
_LAMP = Finish((0.50, 0.51, 0.52), coat=1.0, metal=0.35, gloss=0.6)
_LENS = Finish((0.03, 0.03, 0.035), coat=1.0, gloss=1.0)
_BRIGHT = Finish((0.86, 0.86, 0.88), coat=1.0, metal=0.5, gloss=1.0)
_AMBER = Finish((0.75, 0.20, 0.015), coat=1.0, gloss=1.0)
_RED = Finish((0.42, 0.008, 0.012), coat=1.0, gloss=1.0)
_DEEP_RED = Finish((0.13, 0.003, 0.005), coat=1.0, gloss=1.0)
_WHITE = Finish((0.75, 0.76, 0.78), coat=0.6, gloss=0.6)


def draw_body(atlas: Atlas, design: Design, body: Body) -> None:
    """Sides, nose and tail."""
    atlas.fill(BODY, design.paint)
    _sides(atlas, design, body)
    _nose(atlas, design)
    _tail(atlas, design, float(body.u[-1]))


def _sides(atlas: Atlas, design: Design, body: Body) -> None:
    shape = design.shape
    doors = door_lines(design)
    low, (belt, belt_rear) = shape.sill, shape.belt
    end = float(body.u[-1])
    rugged = shape.name in ("SUV", "Pickup")
    strip = 0.13 if rugged else 0.065
    atlas.area(BODY, [(0.3, 0), (end - 0.3, 0), (end - 0.3, low + strip), (0.3, low + strip)], BLACK)
    atlas.raise_stroke(BODY, [(0.6, low + strip), (end - 0.6, low + strip)], 0.012, -0.004, soft=0.006)
    for axle in axles(shape):
        u = body.u_at(axle)
        arch = [
            (u + np.cos(t) * r, shape.wheel + np.sin(t) * r)
            for t in np.linspace(-0.5, np.pi + 0.5, 40)
            for r in (shape.wheel + ARCH_GAP,)
        ]
        if rugged:
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
    flap = (body.u_at(axles(shape)[1]) + 0.05, belt_rear - 0.27)
    ring = [(flap[0] + 0.075 * np.cos(t), flap[1] + 0.075 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 30)]
    atlas.gap(BODY, ring)
    marker = body.u_at(axles(shape)[0] + shape.wheel + 0.12)
    atlas.area(BODY, _box(marker - 0.05, shape.nose - 0.245, marker + 0.05, shape.nose - 0.215), _AMBER, round_by=0.01)


def _box(left: float, low: float, right: float, high: float) -> Outline:
    return [(left, low), (right, low), (right, high), (left, high)]


def _nose(atlas: Atlas, design: Design) -> None:
    shape = design.shape
    b, top, low = shape.width / 2, shape.nose, shape.sill
    tall = shape.name in ("SUV", "Pickup", "Van")
    drop = 0.09 if tall else 0.04
    # the shut line between bonnet and bumper
    atlas.gap(BODY, [(-0.05, top - 0.035), (0.45 * b, top - 0.038), (0.60 * b, top - 0.02), (1.2 * b, top + 0.03)])
    grille_low = top - 0.235 - drop
    grille: Outline = [(-0.4, grille_low), (0.36 * b, grille_low), (0.50 * b, top - 0.06), (-0.4, top - 0.06)]
    surround = CHROME if design.chrome else BLACK
    atlas.area(
        BODY,
        [(-0.4, grille_low - 0.014), (0.37 * b, grille_low - 0.014), (0.525 * b, top - 0.047), (-0.4, top - 0.047)],
        surround,
        round_by=0.04,
    )
    atlas.raise_area(BODY, grille, -0.016, round_by=0.04, soft=0.008)
    atlas.area(BODY, grille, _INSIDE, round_by=0.04)
    bars = design.grille_bars
    for k in range(bars):
        z = grille_low + (k + 0.75) / (bars + 0.5) * (top - 0.06 - grille_low)
        reach = (0.345 + 0.13 * (k + 0.5) / bars) * b
        finish = surround if design.chrome and bars < 5 else Finish((0.03, 0.03, 0.032), coat=0.6, gloss=0.4)
        atlas.stroke(BODY, [(-0.05, z), (reach, z)], 0.014, finish)
        atlas.raise_stroke(BODY, [(-0.05, z), (reach, z)], 0.014, 0.008, soft=0.005)
    badge = [(0.055 * np.cos(t), top - 0.105 + 0.04 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)]
    atlas.area(BODY, badge, CHROME)
    atlas.area(BODY, [(0.72 * u, top - 0.105 + 0.72 * (z - top + 0.105)) for u, z in badge], BLACK)
    # lower mouth, with a splitter below
    mouth = _box(-0.4, low + 0.085, 0.62 * b, low + 0.185)
    atlas.raise_area(BODY, mouth, -0.014, round_by=0.03, soft=0.008)
    atlas.area(BODY, mouth, _INSIDE, round_by=0.03)
    for k in range(3):
        z = low + 0.108 + 0.027 * k
        atlas.stroke(BODY, [(-0.05, z), (0.6 * b, z)], 0.008, Finish((0.04, 0.04, 0.042), coat=0.4, gloss=0.3))
    atlas.area(BODY, _box(-0.1, 0, 1.3 * b, low + 0.045), BLACK)
    fog: Outline = [(0.72 * b, low + 0.10), (1.02 * b, low + 0.12), (1.06 * b, low + 0.22), (0.76 * b, low + 0.185)]
    atlas.area(BODY, fog, BLACK, round_by=0.025)
    atlas.raise_area(BODY, fog, -0.012, round_by=0.025, soft=0.008)
    lamp = [(0.90 * b + 0.042 * np.cos(t), low + 0.158 + 0.042 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 30)]
    atlas.area(BODY, lamp, _BRIGHT)
    _headlamp(atlas, b, top, tall)


def _headlamp(atlas: Atlas, b: float, top: float, tall: bool) -> None:
    deep = 0.20 if tall else 0.125
    high = top - 0.03
    outline: Outline = [
        (0.56 * b, high - deep),
        (0.95 * b, high - deep * 0.95),
        (1.24 * b, high - 0.45 * deep + 0.01),
        (1.34 * b, high + 0.045),
        (1.0 * b, high + 0.022),
        (0.53 * b, high - 0.25 * deep),
    ]
    atlas.area(BODY, outline, _LENS, round_by=0.022)
    middle = (0.55 * b * 0.5 + 0.5 * 1.2 * b, high - 0.45 * deep)
    inner = [(middle[0] + (u - middle[0]) * 0.94, middle[1] + (z - middle[1]) * 0.84) for u, z in outline]
    atlas.area(BODY, inner, _LAMP, round_by=0.02)
    for u, size in ((0.75 * b, 0.40), (1.0 * b, 0.38)):
        for share, finish in ((1.0, _BRIGHT), (0.86, _LENS), (0.42, _BRIGHT)):
            radius = share * size * deep
            eye = [
                (u + radius * np.cos(t), high - 0.48 * deep + radius * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)
            ]
            atlas.area(BODY, eye, finish)
    corner: Outline = [
        (1.16 * b, high - 0.42 * deep),
        (1.22 * b, high - 0.38 * deep),
        (1.28 * b, high + 0.02),
        (1.21 * b, high + 0.01),
    ]
    atlas.area(BODY, corner, _AMBER, round_by=0.01)
    atlas.stroke(
        BODY,
        [(0.60 * b, high - 0.88 * deep), (0.95 * b, high - 0.84 * deep), (1.18 * b, high - 0.42 * deep)],
        0.012,
        _BRIGHT,
    )
    atlas.raise_stroke(BODY, [*outline, outline[0]], 0.010, -0.004, soft=0.004)


def _tail(atlas: Atlas, design: Design, end: float) -> None:
    shape = design.shape
    b, low = shape.width / 2, shape.sill
    upright = shape.length - shape.rear < 0.4 or shape.bed
    top = shape.tail - 0.03
    bumper = low + 0.42 * (top - low)
    # boot lid or tailgate, and the bumper below it
    atlas.gap(
        BODY,
        [
            (end - 0.66 * b, 1.3),
            (end - 0.68 * b, bumper + 0.10),
            (end - 0.60 * b, bumper + 0.02),
            (end + 0.05, bumper + 0.02),
        ],
    )
    atlas.raise_stroke(BODY, [(end - 1.5 * b, bumper - 0.01), (end + 0.05, bumper - 0.01)], 0.03, -0.006, soft=0.01)
    if upright:
        lamp: Outline = [
            (end - 0.74 * b, bumper + 0.06),
            (end - 1.10 * b, bumper + 0.10),
            (end - 1.16 * b, top + 0.03),
            (end - 0.76 * b, top + 0.03),
        ]
    else:
        lamp = [
            (end - 0.46 * b, top - 0.15),
            (end - 0.80 * b, top - 0.17),
            (end - 1.24 * b, top - 0.115),
            (end - 1.32 * b, top - 0.035),
            (end - 0.9 * b, top - 0.035),
            (end - 0.48 * b, top - 0.06),
        ]
    atlas.area(BODY, lamp, _DEEP_RED, round_by=0.025)
    middle = np.mean(np.array(lamp), axis=0)
    inner = [(float(middle[0] + 0.84 * (u - middle[0])), float(middle[1] + 0.80 * (z - middle[1]))) for u, z in lamp]
    atlas.area(BODY, inner, _RED, round_by=0.02)
    core = [
        (float(middle[0] + 0.5 * (u - middle[0])), float(middle[1] - 0.012 + 0.30 * (z - middle[1]))) for u, z in lamp
    ]
    atlas.area(BODY, core, _WHITE, round_by=0.012)
    for share in (0.66, 0.92):
        ring = [
            (float(middle[0] + share * (u - middle[0])), float(middle[1] + share * (z - middle[1]))) for u, z in lamp
        ]
        atlas.raise_stroke(BODY, [*ring, ring[0]], 0.010, 0.005, soft=0.005)
    # plate recess, bar, badge, lower apron, reflectors
    z = shape.tail - 0.30 if not shape.bed else 0.62
    recess = _box(end - 0.31, z - 0.10, end + 0.3, z + 0.10)
    atlas.raise_area(BODY, recess, -0.014, round_by=0.03, soft=0.012)
    bar = _box(end - 0.30, z + 0.085, end + 0.3, z + 0.115)
    atlas.area(BODY, bar, CHROME if design.chrome else BLACK, round_by=0.01)
    atlas.raise_area(BODY, bar, 0.008, round_by=0.01, soft=0.006)
    badge = [(end + 0.042 * np.cos(t), z + 0.175 + 0.034 * np.sin(t)) for t in np.linspace(0, 2 * np.pi, 40)]
    atlas.area(BODY, badge, CHROME)
    atlas.area(
        BODY,
        [(end - 0.62 * b, 0), (end + 0.1, 0), (end + 0.1, low + 0.17), (end - 0.56 * b, low + 0.17)],
        BLACK,
        round_by=0.03,
    )
    atlas.area(BODY, _box(end - 1.3 * b, 0, end + 0.1, low + 0.075), BLACK)
    atlas.area(BODY, _box(end - 0.96 * b, low + 0.155, end - 0.74 * b, low + 0.185), _RED, round_by=0.008)


def draw_deck(atlas: Atlas, design: Design) -> None:
    """Bonnet, boot lid or bed, and the rim of the cabin."""
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
    if shape.bed:
        head, tail = bed_of(shape)
        inner = half - 0.16
        atlas.area(
            DECK, [(head, -0.05), (head, inner), (tail, inner), (tail, -0.05)], Finish((0.022, 0.022, 0.023), coat=0.15)
        )
        for y in np.arange(0.05, inner, 0.09):
            atlas.raise_stroke(DECK, [(head - 0.05, float(y)), (tail + 0.05, float(y))], 0.03, 0.012, soft=0.008)
    elif shape.length - shape.rear > 0.4:
        back = -front
        lid = front - shape.rear - 0.02
        atlas.gap(
            DECK,
            [(lid - 0.03, -0.02), (lid - 0.05, half - 0.33), (lid - 0.12, half - 0.25), (back + 0.05, half - 0.30)],
        )


def draw_plates(atlas: Atlas, design: Design) -> None:
    """Number plates."""
    for chart in (PLATE_FRONT, PLATE_REAR):
        atlas.fill(chart, Finish((0.80, 0.80, 0.78), coat=0.25, gloss=0.3))
        atlas.stroke(
            chart, [(-0.257, -0.062), (0.257, -0.062), (0.257, 0.062), (-0.257, 0.062), (-0.257, -0.062)], 0.006, BLACK
        )
        atlas.area(chart, _box(-0.262, 0.040, 0.262, 0.066), Finish((0.02, 0.13, 0.42)))
        atlas.stamp(chart, _words(chart, design.plate, 2.1, 6, 0.0, -0.012), Finish((0.02, 0.02, 0.025)))
        atlas.stamp(chart, _words(chart, "DARKROOM", 0.62, 2, 0.0, 0.053), Finish((0.8, 0.8, 0.8)))


def _words(
    chart: Chart, words: str, size: float, thick: int, u: float, v: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A chart-sized mask of words centred on (u, v)."""
    mask = np.zeros((chart.height, chart.width), np.uint8)
    font = cv2.FONT_HERSHEY_DUPLEX
    (width, height), _ = cv2.getTextSize(words, font, size, thick)
    at = (round((u - chart.u0) * chart.scale - width / 2), round((chart.v1 - v) * chart.scale + height / 2))
    cv2.putText(mask, words, at, font, size, 255, thick, cv2.LINE_AA)
    return (mask / 255).astype(np.float32)
