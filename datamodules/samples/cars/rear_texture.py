"""Draws the rear into the atlas: lamps, boot lid or tailgate, bumper."""

from datamodules.samples.cars.accessories import BLACK, CHROME
from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.charts import BODY, Outline
from datamodules.samples.cars.design import Design
from datamodules.samples.cars.front_texture import box, circle, shrink_outline

_RED = Finish((0.40, 0.008, 0.010), coat=1.0, gloss=1.0)
_DEEP_RED = Finish((0.12, 0.003, 0.005), coat=1.0, gloss=1.0)
_BRIGHT_RED = Finish((0.62, 0.030, 0.030), coat=1.0, gloss=1.0)
_CLEAR = Finish((0.42, 0.40, 0.40), coat=1.0, metal=0.4, gloss=0.6)
_AMBER = Finish((0.50, 0.13, 0.015), coat=1.0, gloss=1.0)


def draw_tail(atlas: Atlas, design: Design, end: float) -> None:
    """Draws everything behind the rear wheels; ``end`` is the chart position of the center of the rear."""
    shape = design.shape
    b, low, top = shape.width / 2, shape.sill, shape.tail - 0.03
    bumper = low + 0.42 * (top - low)
    lid = [
        (end - 0.66 * b, 1.3),
        (end - 0.68 * b, bumper + 0.10),
        (end - 0.60 * b, bumper + 0.02),
        (end + 0.05, bumper + 0.02),
    ]
    atlas.gap(BODY, lid)
    atlas.raise_stroke(BODY, [(end - 1.5 * b, bumper - 0.01), (end + 0.05, bumper - 0.01)], 0.03, -0.006, soft=0.01)
    if shape.upright:
        _tall_lamp(atlas, end, b, bumper, top)
    else:
        _wide_lamp(atlas, end, b, top)
    _plate_recess(atlas, design, end)
    apron: Outline = [(end - 0.62 * b, 0), (end + 0.1, 0), (end + 0.1, low + 0.17), (end - 0.56 * b, low + 0.17)]
    atlas.area(BODY, apron, BLACK, round_by=0.03)
    atlas.raise_area(BODY, apron, -0.008, round_by=0.03, soft=0.008)
    for k in range(3):
        u = end - (0.08 + 0.16 * k) * b
        atlas.raise_stroke(BODY, [(u, low), (u, low + 0.13)], 0.018, 0.012, soft=0.006)
    atlas.area(BODY, box(end - 1.3 * b, 0, end + 0.1, low + 0.075), BLACK)
    atlas.area(BODY, box(end - 0.96 * b, low + 0.155, end - 0.74 * b, low + 0.182), _RED, round_by=0.008)


def _tall_lamp(atlas: Atlas, end: float, b: float, bumper: float, top: float) -> None:
    outline: Outline = [
        (end - 0.76 * b, bumper + 0.06),
        (end - 1.02 * b, bumper + 0.08),
        (end - 1.20 * b, top - 0.06),
        (end - 1.16 * b, top + 0.03),
        (end - 0.74 * b, top + 0.03),
    ]
    _red_lamp(atlas, outline)
    tall = top - bumper
    for share, finish in ((0.36, _CLEAR), (0.24, _AMBER)):
        z = bumper + share * tall
        atlas.area(BODY, box(end - 1.02 * b, z, end - 0.80 * b, z + 0.10 * tall), finish, round_by=0.01)


def _wide_lamp(atlas: Atlas, end: float, b: float, top: float) -> None:
    outline: Outline = [
        (end - 0.44 * b, top - 0.145),
        (end - 0.80 * b, top - 0.165),
        (end - 1.24 * b, top - 0.110),
        (end - 1.40 * b, top - 0.030),
        (end - 0.90 * b, top - 0.032),
        (end - 0.46 * b, top - 0.055),
    ]
    _red_lamp(atlas, outline)
    atlas.area(BODY, box(end - 0.80 * b, top - 0.125, end - 0.52 * b, top - 0.090), _CLEAR, round_by=0.010)


def _red_lamp(atlas: Atlas, outline: Outline) -> None:
    atlas.area(BODY, outline, _DEEP_RED, round_by=0.02)
    atlas.area(BODY, shrink_outline(outline, 0.90, 0.86), _RED, round_by=0.018)
    for share in (0.78, 0.40):
        ring = shrink_outline(outline, share, share)
        atlas.stroke(BODY, [*ring, ring[0]], 0.010, _BRIGHT_RED)
    for share in (0.94, 0.68, 0.30):
        ring = shrink_outline(outline, share, share)
        atlas.raise_stroke(BODY, [*ring, ring[0]], 0.010, 0.006, soft=0.005)


def _plate_recess(atlas: Atlas, design: Design, end: float) -> None:
    shape = design.shape
    z = 0.62 if shape.bed else shape.tail - 0.30
    atlas.raise_area(BODY, box(end - 0.31, z - 0.10, end + 0.3, z + 0.10), -0.014, round_by=0.03, soft=0.012)
    bar = box(end - 0.30, z + 0.085, end + 0.3, z + 0.115)
    atlas.area(BODY, bar, CHROME if design.chrome else BLACK, round_by=0.01)
    atlas.raise_area(BODY, bar, 0.008, round_by=0.01, soft=0.006)
    atlas.area(BODY, circle(end, z + 0.175, 0.040), CHROME)
    atlas.area(BODY, circle(end, z + 0.175, 0.032), BLACK)
