"""The studio's camera: a fixed tripod in front of the turntable."""

import math

import numpy as np

from datamodules.samples.cars.curves import Array

HEIGHT, WIDTH = 1280, 1918
FOCAL = 2400.0  # pixels; about 43 degrees across
DISTANCE = 8.7  # meters from the middle of the turntable
EYE = np.array([0.0, -DISTANCE, 1.75])
_PITCH = math.atan(345.0 / FOCAL)  # the horizon is 345 pixels above the center

# rows: right, down, forward, in world coordinates (x right, y away from the camera, z up)
AXES = np.array(
    [
        [1.0, 0.0, 0.0],
        [0.0, -math.sin(_PITCH), -math.cos(_PITCH)],
        [0.0, math.cos(_PITCH), -math.sin(_PITCH)],
    ]
)


def project(points: Array) -> Array:
    """Homogeneous pixel coordinates of world points.

    Args:
        points: (..., 3) meters.

    Returns:
        (..., 3): x * depth, y * depth and depth, with x and y in pixels, (0, 0) the corner of the first pixel.
    """
    right, down, depth = np.moveaxis((points - EYE) @ AXES.T, -1, 0)
    return np.stack([FOCAL * right + WIDTH / 2 * depth, FOCAL * down + HEIGHT / 2 * depth, depth], axis=-1)


def rays(x: Array, y: Array) -> Array:
    """World vectors (..., 3) of depth 1 from the camera through pixel positions."""
    image = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], axis=-1)
    return np.asarray(image @ AXES)


def heading(view: int, views: int) -> float:
    """Heading of the car in radians in view ``view`` of ``views``; view 1 shows its front.

    The turntable turns clockwise: a quarter turn later the front points to the left.
    """
    return -math.pi / 2 - 2 * math.pi * (view - 1) / views


def turn(angle: float) -> Array:
    """Rotation (3, 3) about the vertical axis by ``angle`` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
