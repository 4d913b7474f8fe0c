"""Hills and cypresses of the landscape."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.samples.painting.pigments import CYPRESS, Array, Pigment, mix


@dataclass(frozen=True)
class Range:
    """A range of hills, from its ridge to the lower edge of the image.

    Args:
        top: height of the ridge down from the upper edge, in pixels, on average.
        waves: (amplitude in pixels, wavelength in pixels, phase) of the ridge.
        pigments: its colors from dark to light.
    """

    top: float
    waves: tuple[tuple[float, float, float], ...]
    pigments: Sequence[Pigment]

    def ridge(self, x: Array) -> Array:
        """Height of the ridge at ``x``."""
        waves = (amplitude * np.sin(2 * np.pi * x / length + phase) for amplitude, length, phase in self.waves)
        return np.asarray(self.top + sum(waves))

    def slope(self, x: Array) -> Array:
        """Slope of the ridge at ``x``."""
        waves = (
            amplitude * 2 * np.pi / length * np.cos(2 * np.pi * x / length + phase)
            for amplitude, length, phase in self.waves
        )
        return np.asarray(sum(waves))

    def flow(self, positions: Array) -> Array:
        """Flow along the ridge, with waves further down. See ``brush.Flow``."""
        x, y = positions.T
        deep = (y - self.ridge(x)).clip(0)
        rise = self.slope(x + 0.35 * deep) + 0.5 * np.sin(deep / 26 + x / 70) * np.minimum(deep / 60, 1)
        along = np.stack([np.ones_like(x), rise], axis=1)
        return np.asarray(along / np.hypot(*along.T)[:, None])

    def color(self, positions: Array, chance: Array) -> Array:
        """RGB (N, 3) of strokes at positions; ``chance`` (N,) in [0, 1] varies it."""
        x, y = positions.T
        deep = (y - self.ridge(x)).clip(0)
        folds = 0.5 + 0.5 * np.sin(deep / 13 + 1.8 * np.sin(x / 58) + x / 120)
        tone = 0.12 + 0.45 * folds + 0.25 * np.exp(-deep / 22) + 0.36 * (chance - 0.5)
        return mix(self.pigments, tone)


@dataclass(frozen=True)
class Cypress:
    """A flame-shaped tree.

    Args:
        x: x of its base.
        foot: y of its base.
        tip: y of its tip.
        width: largest width in pixels.
    """

    x: float
    foot: float
    tip: float
    width: float

    def middle(self, y: Array) -> Array:
        """X of its center line at ``y``."""
        up = (self.foot - y) / (self.foot - self.tip)
        return np.asarray(self.x + self.width * (0.16 * np.sin(4.2 * up + 0.5) + 0.10 * np.sin(9 * up) * up))

    def half(self, y: Array) -> Array:
        """Half its width at ``y``."""
        up = np.clip((self.foot - y) / (self.foot - self.tip), 0.0, 1.0)
        body = (1 - up) ** 0.75 * (0.55 + 0.9 * up) * (1 + 0.14 * np.sin(up * 23))
        return np.asarray(self.width / 2 * body)

    def contains(self, positions: Array) -> Array:
        """Which positions (N,) lie inside the tree."""
        x, y = positions.T
        return np.asarray((y > self.tip) & (y < self.foot) & (np.abs(x - self.middle(y)) < self.half(y)))

    def flow(self, positions: Array) -> Array:
        """Flow upwards, with waves. See ``brush.Flow``."""
        x, y = positions.T
        aside = (x - self.middle(y)) / self.width
        lean = -0.7 * aside + 0.42 * np.sin(y / 19 + 5 * aside)
        along = np.stack([lean, -np.ones_like(x)], axis=1)
        return np.asarray(along / np.hypot(*along.T)[:, None])

    def color(self, positions: Array, chance: Array) -> Array:
        """RGB (N, 3) of strokes at positions; ``chance`` (N,) in [0, 1] varies it."""
        x, y = positions.T
        aside = (x - self.middle(y)) / self.half(y).clip(1.0)
        licks = np.sin(y / 24 + 6 * aside)
        return mix(CYPRESS, 0.22 + 0.2 * licks + 0.55 * (chance - 0.45) + 0.12 * aside)
