"""Night sky with vortices, stars with halos and a crescent moon."""

from dataclasses import dataclass

import numpy as np

from datamodules.samples.painting.pigments import LIGHT, SKY, Array, mix

_DISC = 0.36  # radius of the moon relative to its halo


@dataclass(frozen=True)
class Vortex:
    """A vortex of the flow; ``turn`` is its signed strength."""

    x: float
    y: float
    radius: float
    turn: float


@dataclass(frozen=True)
class Star:
    """A light with rings around it; ``radius`` is that of the halo."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Sky:
    """Composition of the sky, in pixels.

    Args:
        width: width of the image.
        horizon: approximate y of the horizon.
        vortices: large vortices.
        stars: the stars.
        moon: the moon; its disc has about a third of the halo's radius.
    """

    width: int
    horizon: float
    vortices: tuple[Vortex, ...]
    stars: tuple[Star, ...]
    moon: Star

    def flow(self, positions: Array) -> Array:
        """Flow around vortices, stars and moon. See ``brush.Flow``."""
        x, y = positions.T
        along = np.stack([np.ones_like(x), 0.55 * np.cos(x / 95 + y / 160) + 0.2 * np.sin(y / 60)], axis=1)
        for vortex in self.vortices:
            dx, dy = x - vortex.x, y - vortex.y
            far = np.hypot(dx, dy).clip(1.0)
            pull = 4.0 * np.exp(-((far / vortex.radius) ** 2))
            # an inward component makes spirals instead of rings
            around = np.stack([-dy * vortex.turn - 0.18 * dx, dx * vortex.turn - 0.18 * dy], axis=1) / far[:, None]
            along = along + pull[:, None] * around
        for star in (*self.stars, self.moon):
            dx, dy = x - star.x, y - star.y
            far = np.hypot(dx, dy).clip(1.0)
            share = np.exp(-((far / star.radius) ** 4))[:, None]
            around = np.stack([-dy, dx], axis=1) / far[:, None]
            along = along * (1 - share) + 3 * share * around
        return np.asarray(along / np.hypot(*along.T)[:, None].clip(1e-9))

    def color(self, positions: Array, chance: Array) -> Array:
        """RGB (N, 3) of strokes at positions; ``chance`` (N,) in [0, 1] varies them."""
        x, y = positions.T
        height = np.clip(y / self.horizon, 0.0, 1.2)
        tone = 0.14 + 0.34 * height**1.6 + 0.09 * np.sin(y / 23 + 1.6 * np.sin(x / 95) + x / 210)
        for vortex in self.vortices:
            dx, dy = x - vortex.x, y - vortex.y
            far, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
            share = np.exp(-((far / vortex.radius) ** 2))
            bands = np.sin(far / vortex.radius * 11 - 1.0 * vortex.turn * angle)
            tone = tone * (1 - 0.75 * share) + share * (0.40 + 0.33 * bands)
        tone = tone + 0.24 * (chance - 0.5)
        colors = mix(SKY, tone)
        for star in (*self.stars, self.moon):
            far = np.hypot(x - star.x, y - star.y) / star.radius
            ring = (far - 0.2) / 0.8
            if star is self.moon:  # amber in the center, for contrast to the crescent
                ring = np.where(far < _DISC, 0.66, 0.36 + (far - _DISC) * 0.75)
            ring = ring + 0.16 * (chance - 0.5) + 0.07 * np.sin(far * 21)
            share = np.clip((1.12 - far) / 0.45, 0.0, 1.0) * np.where(chance < 0.8, 1.0, 0.55)
            colors = colors * (1 - share[:, None]) + share[:, None] * mix(LIGHT, ring)
        return colors

    def crescent(self, positions: Array) -> Array:
        """Which positions (N,) lie on the crescent."""
        x, y, radius = positions[:, 0] - self.moon.x, positions[:, 1] - self.moon.y, self.moon.radius * _DISC
        return np.asarray((np.hypot(x, y) < radius) & (np.hypot(x + radius * 0.55, y + radius * 0.2) > radius * 0.8))


def design_sky(rng: np.random.Generator, width: int, horizon: float) -> Sky:
    """Draws a random composition."""

    def about(value: float, spread: float) -> float:
        return value + spread * (2 * float(rng.random()) - 1)

    vortices = (
        Vortex(about(0.44, 0.03) * width, about(0.40, 0.04) * horizon, 0.150 * width, 1.0),
        Vortex(about(0.63, 0.02) * width, about(0.56, 0.04) * horizon, 0.095 * width, -1.0),
        Vortex(about(0.85, 0.03) * width, about(0.66, 0.03) * horizon, 0.075 * width, 1.0),
    )
    moon = Star(about(0.865, 0.02) * width, about(0.22, 0.03) * horizon, 0.115 * width)
    stars: list[Star] = []
    taken = [(moon.x, moon.y, moon.radius * 1.25)] + [(v.x, v.y, v.radius * 0.8) for v in vortices]
    for _ in range(400):
        radius = width * (0.022 + 0.030 * float(rng.random()) ** 2)
        x, y = width * (0.21 + 0.76 * float(rng.random())), horizon * (0.06 + 0.72 * float(rng.random()))
        if all(np.hypot(x - a, y - b) > radius + r for a, b, r in taken) and len(stars) < 11:
            stars.append(Star(x, y, radius))
            taken.append((x, y, radius * 1.6))
    return Sky(width, horizon, vortices, tuple(stars), moon)
