"""Renders the painting from coarse to fine strokes."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from datamodules.samples.painting.brush import Brush, Canvas, horizontal, shade_relief, vertical
from datamodules.samples.painting.land import Cypress, Range
from datamodules.samples.painting.pigments import (
    FIELD,
    HILLS,
    LIGHT,
    MOUNTAINS,
    OUTLINE,
    ROOFS,
    WALLS,
    WINDOWS,
    Array,
    mix,
)
from datamodules.samples.painting.sky import Sky, design_sky

WIDTH, HEIGHT = 1024, 800
_HORIZON = 560.0

_SKY_COATS = (
    (Brush(width=34, length=110, hair=4, uneven=0.10), 420),
    (Brush(width=17, length=74, hair=3), 1500),
    (Brush(width=11, length=52, hair=2), 3600),
)


def paint_night(seed: int = 0, *, progress: bool = False) -> NDArray[np.uint8]:
    """Renders a night landscape stroke by stroke.

    Args:
        seed: seed of the composition and the strokes.
        progress: whether to show a progress bar.

    Returns:
        (800, 1024, 3) RGB, the same on every machine.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(WIDTH, HEIGHT, (58, 50, 44))
    sky, (mountains, hills, village, field) = design_sky(rng, WIDTH, _HORIZON), _ranges(rng)
    parts = [
        *(partial(_paint_sky, rng, canvas, sky, brush, count) for brush, count in _SKY_COATS),
        partial(_paint_lights, rng, canvas, sky),
        *(partial(_paint_range, rng, canvas, land) for land in (mountains, hills, village)),
        partial(_paint_village, rng, canvas, village),
        partial(_paint_range, rng, canvas, field),
        *(partial(_paint_tree, rng, canvas, tree) for tree in _trees(rng)),
    ]
    for part in tqdm(parts, desc="rendering the sample style image", leave=False, disable=not progress):
        part()
    return shade_relief(canvas.paint, 9)


def _random_positions(rng: np.random.Generator, count: int, top: float, bottom: float) -> Array:
    return np.stack([WIDTH * (1.04 * rng.random(count) - 0.02), top + (bottom - top) * rng.random(count)], axis=1)


def _paint_sky(rng: np.random.Generator, canvas: Canvas, sky: Sky, brush: Brush, count: int) -> None:
    positions = _random_positions(rng, count, -10, _HORIZON + 70)
    canvas.strokes(rng, positions, sky.color(positions, rng.random(count)), sky.flow, brush)


def _paint_lights(rng: np.random.Generator, canvas: Canvas, sky: Sky) -> None:
    """Draws rings of short strokes around stars and moon, then the lights themselves."""
    for star in (*sky.stars, sky.moon):
        count = round(star.radius**1.35 * 0.9)
        far, angle = star.radius * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
        positions = np.stack([star.x + far * np.cos(angle), star.y + far * np.sin(angle)], axis=1)
        size = float(np.clip(star.radius / 5, 6, 12))
        brush = Brush(width=size, length=2.6 * size, hair=2)
        canvas.strokes(rng, positions, sky.color(positions, rng.random(count)), sky.flow, brush)
    for star in sky.stars:
        core = star.radius * 0.2
        positions = np.array([star.x, star.y]) + core * (rng.random((9, 2)) - 0.5)
        colors = mix(LIGHT, 0.16 * rng.random(9))
        canvas.strokes(rng, positions, colors, sky.flow, Brush(width=1.5 * core, length=2.2 * core, hair=2))
    positions = np.array([sky.moon.x, sky.moon.y]) + sky.moon.radius * 0.8 * (rng.random((500, 2)) - 0.5)
    positions = positions[sky.crescent(positions)]
    colors = mix(LIGHT, 0.28 * rng.random(len(positions)))
    canvas.strokes(rng, positions, colors, sky.flow, Brush(width=9, length=26, hair=2, uneven=0.1))


def _ranges(rng: np.random.Generator) -> list[Range]:
    def phase() -> float:
        return 2 * np.pi * float(rng.random())

    return [
        Range(565, ((34, 610, phase()), (15, 240, phase())), MOUNTAINS),
        Range(632, ((26, 480, phase()), (12, 190, phase())), HILLS),
        Range(690, ((22, 420, phase()), (8, 150, phase())), HILLS),
        Range(748, ((12, 520, phase()), (6, 170, phase())), FIELD),
    ]


def _paint_range(rng: np.random.Generator, canvas: Canvas, hills: Range) -> None:
    for brush, count in (
        (Brush(width=22, length=80, hair=4, uneven=0.12), 220),
        (Brush(width=12, length=52, hair=2), 900),
    ):
        positions = _random_positions(rng, count, hills.top - 50, min(hills.top + 130, HEIGHT + 10))
        positions = positions[positions[:, 1] > hills.ridge(positions[:, 0]) + brush.width / 2]
        canvas.strokes(rng, positions, hills.color(positions, rng.random(len(positions))), hills.flow, brush)
    x = WIDTH * (1.04 * rng.random(64) - 0.02)
    ridge = np.stack([x, hills.ridge(x) + 5 * rng.random(64)], axis=1)
    canvas.strokes(rng, ridge, mix(OUTLINE, rng.random(64)), hills.flow, Brush(width=6, length=48, hair=2, unmixed=5))


def _paint_village(rng: np.random.Generator, canvas: Canvas, hills: Range) -> None:
    """Draws houses with lit windows along a hill, and a church."""
    x = WIDTH * np.sort(0.36 + 0.44 * rng.random(15))
    y = hills.ridge(x) + 16 + 26 * rng.random(15)
    order = np.argsort(y)
    for left, foot, chance in zip(x[order], y[order], rng.random(15), strict=True):
        _paint_house(rng, canvas, float(left), float(foot), 24 + 16 * float(chance))
    church = float(x[7])
    foot = float(hills.ridge(x[7:8])[0]) + 20
    _paint_house(rng, canvas, church, foot, 40)
    tower = np.stack([np.full(6, church + 26) + 3 * rng.random(6), foot - 8 * np.arange(6)[::-1]], axis=1)
    canvas.strokes(rng, tower, mix(WALLS, rng.random(6)), vertical, Brush(width=11, length=26, hair=2))
    spire = np.stack([np.full(3, church + 27.5), foot - 62 + 6 * np.arange(3)], axis=1)
    canvas.strokes(rng, spire, mix(OUTLINE, rng.random(3)), vertical, Brush(width=6, length=34, hair=2))


def _paint_house(rng: np.random.Generator, canvas: Canvas, left: float, foot: float, width: float) -> None:
    height, count = width * 0.6, round(width / 3)
    walls = np.stack([left + width * rng.random(count), foot - height * rng.random(count)], axis=1)
    canvas.strokes(rng, walls, mix(WALLS, rng.random(count)), vertical, Brush(width=9, length=height, hair=2))
    at = np.linspace(0.15, 0.85, count)
    roof = np.stack([left + width * at, foot - height * (1.0 + 0.6 * (1 - np.abs(2 * at - 1)))], axis=1)
    canvas.strokes(rng, roof, mix(ROOFS, rng.random(count)), horizontal, Brush(width=8, length=width * 0.4, hair=2))
    panes = np.stack([left + width * (0.2 + 0.6 * rng.random(2)), foot - height * (0.2 + 0.4 * rng.random(2))], axis=1)
    canvas.strokes(rng, panes, mix(WINDOWS, rng.random(2)), vertical, Brush(width=5, length=8, hair=2, uneven=0.1))


def _trees(rng: np.random.Generator) -> list[Cypress]:
    x = WIDTH * (0.085 + 0.03 * float(rng.random()))
    return [Cypress(x + 96, HEIGHT + 20, 420, 70), Cypress(x, HEIGHT + 40, 120, 132)]


def _paint_tree(rng: np.random.Generator, canvas: Canvas, tree: Cypress) -> None:
    for brush, count in (
        (Brush(width=20, length=90, hair=3), 400),
        (Brush(width=10, length=62, hair=2, uneven=0.25), 900),
    ):
        positions = np.stack(
            [
                tree.x + tree.width * (1.4 * rng.random(count) - 0.7),
                tree.tip + (tree.foot - tree.tip) * rng.random(count),
            ],
            axis=1,
        )
        positions = positions[tree.contains(positions)]
        canvas.strokes(rng, positions, tree.color(positions, rng.random(len(positions))), tree.flow, brush)
