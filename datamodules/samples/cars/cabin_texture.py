"""Draws the cabin into the atlas: roof, pillars and windows."""

from datamodules.samples.cars.accessories import BLACK, CHROME
from datamodules.samples.cars.atlas import Atlas, Finish
from datamodules.samples.cars.body_outline import front_of
from datamodules.samples.cars.cabin import WALL, Cabin
from datamodules.samples.cars.charts import CABIN, CABIN_INSIDE, Outline
from datamodules.samples.cars.design import Design

_GLOSS_BLACK = Finish((0.008, 0.008, 0.009), coat=1.0, gloss=1.0)
_STOP_LAMP = Finish((0.30, 0.006, 0.01), coat=1.0, gloss=1.0)


def draw_cabin(atlas: Atlas, design: Design, cabin: Cabin) -> None:
    """Draws roof, pillars, windscreen, side windows, rear window and lining."""
    atlas.fill(CABIN, design.paint)
    screen, side, side_end, back = cabin.corners
    end = float(cabin.u[-1])
    _windscreen(atlas, design, screen)
    _rear_window(atlas, design, back, end)
    _side_windows(atlas, design, cabin, side, side_end)
    if design.sunroof:
        first, last = (cabin.u_at(front_of(design.shape) - design.shape.roof_front - by) for by in (0.18, 0.95))
        pane: Outline = [(first, WALL + 0.62 * 0.42), (last, WALL + 0.62 * 0.42), (last, 1.4), (first, 1.4)]
        atlas.area(CABIN, pane, _GLOSS_BLACK, round_by=0.02)
        atlas.raise_stroke(CABIN, [*pane, pane[0]], 0.010, -0.004, soft=0.005)
    atlas.copy_windows(CABIN, CABIN_INSIDE, Finish((0.18, 0.175, 0.165)))


def _windscreen(atlas: Atlas, design: Design, screen: float) -> None:
    frame: Outline = [(-0.3, -0.02), (screen + 0.02, -0.02), (screen + 0.005, 0.965 * WALL), (-0.3, 0.985 * WALL)]
    atlas.area(CABIN, frame, _GLOSS_BLACK, round_by=0.03)
    pane: Outline = [(-0.3, 0.05), (screen - 0.035, 0.045), (screen - 0.04, 0.915 * WALL), (-0.3, 0.93 * WALL)]
    atlas.area(CABIN, pane, design.glass, round_by=0.05)
    # the mirror's foot and the sensor behind it
    atlas.area(
        CABIN,
        [(-0.2, 0.84 * WALL), (0.055, 0.84 * WALL), (0.075, 0.95 * WALL), (-0.2, 0.95 * WALL)],
        _GLOSS_BLACK,
        round_by=0.02,
    )


def _rear_window(atlas: Atlas, design: Design, back: float, end: float) -> None:
    shape = design.shape
    low = 0.10 if shape.upright and not shape.bed else 0.05
    frame: Outline = [
        (back, low - 0.03),
        (end + 0.3, low - 0.03),
        (end + 0.3, 0.955 * WALL),
        (back + 0.02, 0.93 * WALL),
    ]
    atlas.area(CABIN, frame, _GLOSS_BLACK, round_by=0.04)
    pane: Outline = [(back + 0.04, low), (end + 0.3, low), (end + 0.3, 0.90 * WALL), (back + 0.055, 0.88 * WALL)]
    atlas.area(CABIN, pane, design.rear_glass, round_by=0.05)
    if shape.upright and not shape.bed:
        wiper = [(end + 0.05, low + 0.015), (end - 0.27, low + 0.015)]  # both halves make one
        atlas.stroke(CABIN, wiper, 0.018, BLACK)
        atlas.raise_stroke(CABIN, wiper, 0.018, 0.006, soft=0.004)
    atlas.area(
        CABIN,
        [(end - 0.15, 0.915 * WALL), (end + 0.2, 0.915 * WALL), (end + 0.2, 0.945 * WALL), (end - 0.15, 0.945 * WALL)],
        _STOP_LAMP,
    )


def _side_windows(atlas: Atlas, design: Design, cabin: Cabin, start: float, stop: float) -> None:
    shape = design.shape
    front = front_of(shape)

    def along(share: float) -> float:
        return cabin.u_at(front - (shape.cowl + share * (shape.rear - shape.cowl)))

    last = min(along(shape.glass_to), stop)
    high = 0.885 * WALL
    slant = 0.02 if shape.tall and not shape.rails else 0.12
    frame: Outline = [
        (start - 0.01, 0.005),
        (last + 0.02, 0.005),
        (last - slant, high + 0.012),
        (start - 0.005, high + 0.012),
    ]
    if design.chrome and not shape.bed:
        wide: Outline = [
            (start - 0.022, -0.008),
            (last + 0.035, -0.008),
            (last - slant + 0.01, high + 0.027),
            (start - 0.017, high + 0.027),
        ]
        atlas.area(CABIN, wide, CHROME, round_by=0.045)
    atlas.area(CABIN, frame, _GLOSS_BLACK, round_by=0.04)
    posts = [along(share) for share in shape.pillars]
    lefts = [start + 0.02, *(post + 0.035 for post in posts)]
    rights = [*(post - 0.035 for post in posts), last - 0.012]
    for k, (left, right) in enumerate(zip(lefts, rights, strict=True)):
        if right - left < 0.08:
            continue
        lean = slant if right == rights[-1] else 0.0
        low = 0.022
        pane: Outline = [(left, low), (right, low), (right - lean, high - 0.012), (left, high - 0.012)]
        glass = design.glass if k == 0 else design.rear_glass
        if design.panelled and k > 0:
            glass = design.paint
        atlas.area(CABIN, pane, glass, round_by=0.035)
    # the small triangle that carries the mirror
    atlas.area(CABIN, [(start - 0.01, 0.005), (start + 0.13, 0.005), (start - 0.01, 0.15)], _GLOSS_BLACK)
    atlas.stroke(CABIN, [(start, 0.010), (last, 0.010)], 0.016, CHROME if design.chrome else BLACK)
