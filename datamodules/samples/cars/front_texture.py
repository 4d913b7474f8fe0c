"""Draws the front into the atlas: grille, lamps, air intake and fog lamps."""

import numpy as np

from datamodules.samples.cars.accessories import BLACK, CHROME
from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.charts import BODY, Outline
from datamodules.samples.cars.design import Design

_INSIDE = Finish((0.010, 0.010, 0.010))
_BOWL = Finish((0.50, 0.51, 0.53), coat=1.0, metal=0.85, gloss=0.5)
_LENS = Finish((0.012, 0.012, 0.015), coat=1.0, gloss=1.0)
_BULB = Finish((0.80, 0.81, 0.84), coat=1.0, metal=0.6, gloss=0.7)
_STRIP = Finish((0.92, 0.93, 0.96), coat=1.0, gloss=1.0)
_AMBER = Finish((0.62, 0.14, 0.010), coat=1.0, gloss=1.0)
_BAR = Finish((0.030, 0.030, 0.032), coat=0.6, gloss=0.4)


def circle(u: float, v: float, radius: float, steps: int = 40) -> Outline:
    """Outline of a circle."""
    angles = np.linspace(0, 2 * np.pi, steps)
    return [(u + radius * float(np.cos(t)), v + radius * float(np.sin(t))) for t in angles]


def box(left: float, low: float, right: float, high: float) -> Outline:
    """Outline of a rectangle."""
    return [(left, low), (right, low), (right, high), (left, high)]


def shrink_outline(outline: Outline, wide: float, tall: float) -> Outline:
    """Scales an outline down about its center."""
    middle = np.mean(np.array(outline), axis=0)
    return [(float(middle[0] + wide * (u - middle[0])), float(middle[1] + tall * (v - middle[1]))) for u, v in outline]


def draw_nose(atlas: Atlas, design: Design) -> None:
    """Draws everything in front of the front wheels; ``u`` counts from the center of the front."""
    shape = design.shape
    b, top, low = shape.width / 2, shape.nose, shape.sill
    atlas.gap(BODY, [(-0.05, top - 0.052), (0.45 * b, top - 0.052), (0.60 * b, top - 0.03), (1.25 * b, top + 0.035)])
    _grille(atlas, design, b, top - 0.070, top - (0.335 if shape.tall else 0.255))
    mouth = [(-0.4, low + 0.085), (0.60 * b, low + 0.085), (0.66 * b, low + 0.19), (-0.4, low + 0.175)]
    atlas.raise_area(BODY, mouth, -0.014, round_by=0.03, soft=0.008)
    atlas.area(BODY, mouth, _INSIDE, round_by=0.03)
    for k in range(3):
        z = low + 0.108 + 0.027 * k
        atlas.stroke(BODY, [(-0.05, z), (0.61 * b, z)], 0.008, _BAR)
    atlas.area(BODY, box(-0.1, 0, 1.3 * b, low + 0.045), BLACK)
    _fog_lamp(atlas, b, low)
    _headlamp(atlas, b, top - 0.035, 0.20 if shape.tall else 0.135, twin=design.twin_lamps)
    # a crease from the lamps down to the mouth, and a parting line round the bumper
    atlas.raise_stroke(
        BODY, [(0.50 * b, top - 0.26), (0.64 * b, low + 0.26), (0.70 * b, low + 0.21)], 0.03, 0.006, soft=0.012
    )


def _grille(atlas: Atlas, design: Design, b: float, high: float, low: float) -> None:
    frame: Outline = [(-0.4, low), (0.34 * b, low), (0.47 * b, 0.4 * low + 0.6 * high), (0.50 * b, high), (-0.4, high)]
    wide = [(u + (0.016 if u > 0 else 0.0), v + (0.013 if v > low + 0.1 else -0.013)) for u, v in frame]
    surround = CHROME if design.chrome else BLACK
    atlas.area(BODY, wide, surround, round_by=0.035)
    atlas.raise_area(BODY, wide, 0.006, round_by=0.035, soft=0.005)
    atlas.raise_area(BODY, frame, -0.022, round_by=0.035, soft=0.008)
    atlas.area(BODY, frame, _INSIDE, round_by=0.035)
    bars = design.grille_bars
    for k in range(bars):
        share = (k + 0.75) / (bars + 0.5)
        reach = (0.335 + 0.15 * min(1.0, share * 1.4)) * b
        line = [(-0.05, low + share * (high - low)), (reach, low + share * (high - low))]
        atlas.stroke(BODY, line, 0.014, surround if design.chrome and bars < 5 else _BAR)
        atlas.raise_stroke(BODY, line, 0.014, 0.008, soft=0.005)
    middle = 0.35 * low + 0.65 * high
    atlas.area(BODY, circle(0.0, middle, 0.052), CHROME)
    atlas.area(BODY, circle(0.0, middle, 0.043), BLACK)
    atlas.area(
        BODY, [(-0.1, middle - 0.007), (0.044, middle - 0.007), (0.044, middle + 0.007), (-0.1, middle + 0.007)], CHROME
    )


def _fog_lamp(atlas: Atlas, b: float, low: float) -> None:
    nook: Outline = [(0.74 * b, low + 0.095), (1.04 * b, low + 0.12), (1.10 * b, low + 0.225), (0.78 * b, low + 0.185)]
    atlas.raise_area(BODY, nook, -0.014, round_by=0.02, soft=0.008)
    atlas.area(BODY, nook, BLACK, round_by=0.02)
    atlas.area(BODY, circle(0.90 * b, low + 0.152, 0.040), CHROME)
    atlas.area(BODY, circle(0.90 * b, low + 0.152, 0.034), _LENS)
    atlas.area(BODY, circle(0.90 * b, low + 0.152, 0.022), _BULB)


def _headlamp(atlas: Atlas, b: float, high: float, deep: float, *, twin: bool) -> None:
    outline: Outline = [
        (0.545 * b, high - 0.78 * deep),
        (0.62 * b, high - deep),
        (0.96 * b, high - 0.98 * deep),
        (1.22 * b, high - 0.52 * deep),
        (1.42 * b, high + 0.055),
        (1.05 * b, high + 0.018),
        (0.525 * b, high - 0.30 * deep),
    ]
    atlas.area(BODY, outline, _LENS, round_by=0.018)
    inner = shrink_outline(outline, 0.945, 0.86)
    atlas.area(BODY, inner, _BOWL, round_by=0.015)
    # ribs in the bowl catch light of all sides
    for k in range(9):
        u = (0.60 + 0.075 * k) * b
        low = high - (0.86 if u < b else 0.45) * deep
        atlas.raise_stroke(BODY, [(u, low), (u + 0.02, high - 0.25 * deep)], 0.016, 0.006 * (-1) ** k, soft=0.004)
    dark: Outline = [
        (0.62 * b, high - 0.90 * deep),
        (0.98 * b, high - 0.90 * deep),
        (1.10 * b, high - 0.30 * deep),
        (0.60 * b, high - 0.36 * deep),
    ]
    atlas.area(BODY, dark, Finish((0.03, 0.03, 0.032), coat=1.0, metal=0.3, gloss=1.0), round_by=0.02)
    for k, u in enumerate((0.735 * b, 0.955 * b)):
        round_by = (0.30 if twin or k else 0.20) * deep
        v = high - (0.62 - 0.03 * k) * deep
        atlas.area(BODY, circle(u, v, round_by * 1.15), CHROME)
        atlas.area(BODY, circle(u, v, round_by), _LENS)
        atlas.raise_area(BODY, circle(u, v, round_by), 0.020, round_by=0.0, soft=0.35 * round_by)
        atlas.area(BODY, circle(u, v - 0.2 * round_by, 0.45 * round_by), _BULB)
    corner: Outline = [
        (1.13 * b, high - 0.52 * deep),
        (1.20 * b, high - 0.44 * deep),
        (1.33 * b, high + 0.028),
        (1.22 * b, high + 0.012),
    ]
    atlas.area(BODY, corner, _AMBER, round_by=0.01)
    strip = [
        (0.57 * b, high - 0.42 * deep),
        (0.60 * b, high - 0.86 * deep),
        (0.65 * b, high - 0.935 * deep),
        (0.95 * b, high - 0.90 * deep),
        (1.16 * b, high - 0.50 * deep),
    ]
    atlas.stroke(BODY, strip, 0.011, _STRIP)
    atlas.raise_stroke(BODY, [*outline, outline[0]], 0.008, -0.004, soft=0.004)
