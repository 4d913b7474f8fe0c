"""Interpolating curves and outlines."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Knots = Sequence[tuple[float, float]]


def smoothstep(low: float, high: float, x: ArrayLike) -> Array:
    """Smooth step from 0 at ``low`` to 1 at ``high``; ``low`` may be larger than ``high``."""
    t = np.clip((np.asarray(x, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def monotone_cubic(knots: Knots, x: ArrayLike) -> Array:
    """Monotone cubic interpolation (Fritsch and Carlson 1980), constant outside the knots.

    Args:
        knots: points (x, y) with increasing x.
        x: where to evaluate.
    """
    at, y = (np.array(values, dtype=np.float64) for values in zip(*knots, strict=True))
    step, rise = np.diff(at), np.diff(y)
    slope = rise / step
    left, right = slope[:-1], slope[1:]
    # weighted harmonic mean (Fritsch and Butland); 0 at local extrema
    weight = 2.0 * step[1:] + step[:-1], step[1:] + 2.0 * step[:-1]
    same = left * right > 0
    safe_left, safe_right = np.where(same, left, 1.0), np.where(same, right, 1.0)
    inner = np.where(same, (weight[0] + weight[1]) / (weight[0] / safe_left + weight[1] / safe_right), 0.0)
    tangent = np.concatenate([slope[:1], inner, slope[-1:]])
    where = np.clip(np.asarray(x, dtype=np.float64), at[0], at[-1])
    k = np.clip(np.searchsorted(at, where, side="right") - 1, 0, len(step) - 1)
    h, t = step[k], (where - at[k]) / step[k]
    return np.asarray(
        (1 + 2 * t) * (1 - t) ** 2 * y[k]
        + t * (1 - t) ** 2 * h * tangent[k]
        + t**2 * (3 - 2 * t) * y[k + 1]
        + t**2 * (t - 1) * h * tangent[k + 1]
    )


def superellipse(angle: ArrayLike, front: float, rear: float, half_width: float, powers: tuple[float, float]) -> Array:
    """Half of a rounded outline in top view, from the center of the front to the center of the rear.

    Args:
        angle: 0 (front) to pi (rear).
        front: x of the front end.
        rear: x of the rear end.
        half_width: largest y.
        powers: exponents of the front and the rear half; 2 is an ellipse, more is squarer.

    Returns:
        (..., 2): x and y.
    """
    theta = np.asarray(angle, dtype=np.float64)
    cos, sin = np.cos(theta), np.clip(np.sin(theta), 0.0, None)
    middle, length = (front + rear) / 2, (front - rear) / 2
    power = np.where(cos >= 0, powers[0], powers[1])
    x = middle + length * np.sign(cos) * np.abs(cos) ** (2.0 / power)
    return np.stack([x, half_width * sin ** (2.0 / 2.3)], axis=-1)
