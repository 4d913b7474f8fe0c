"""The empty studio: white curved wall, gray floor, turntable and ceiling lights."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars import camera
from datamodules.samples.cars.curves import Array, monotone_cubic, smoothstep
from datamodules.samples.cars.lettering import TALL, lettering, lettering_at

TABLE = 3.75  # radius of the turntable in meters
_ROOM = 12.0  # radius of the wall
_BACK = -6.0  # y of the middle of the room
_LEDGE = 1.08  # the wall is lit from behind this height
_CEILING = 5.2
# pixel value (0 to 255) by distance along a line from the center of the floor to the top of the wall;
# negative meters are on the floor
_FLOOR = (
    (-14.0, 203.0),
    (-9.0, 197.0),
    (-5.0, 190.0),
    (-2.4, 181.0),
    (-0.8, 169.0),
    (0.0, 170.0),
    (0.5, 180.0),
    (_LEDGE, 197.0),
)
_WALL = ((_LEDGE, 254.0), (1.5, 251.0), (2.6, 244.0), (5.2, 231.0))
_BAND = 32  # rows


@dataclass(frozen=True)
class Wall:
    """How the wall and its lettering look.

    Attributes:
        along: shift of the lettering along the wall in meters.
        lift: height of the lettering above its usual place in meters.
        ink: pixel value of the letters, 0 to 255.
        light: factor on the pixel values of the wall.
    """

    along: float = 0.0
    lift: float = 0.0
    ink: float = 88.0
    light: float = 1.0


PLAIN = Wall()


@dataclass(frozen=True)
class Environment:
    """Linear light that arrives at the car from every direction.

    Direction (x, y, z) is stored at (x, y) / sqrt(2 + 2 z), the map of a mirror ball seen from above; the borders of
    the map are -1 and 1.

    Attributes:
        ball: float32 (S, S, 4): red, green and blue, and blurred brightness for rough surfaces.
    """

    ball: NDArray[np.float32]


def _trace_rays(
    origin: Array, direction: Array, letters: NDArray[np.float32] | None, wall: Wall = PLAIN
) -> tuple[Array, Array, Array]:
    """Intersects rays with floor and wall.

    Returns:
        Pixel value (0 to 255) and the x and y of the intersection.
    """
    x, y, z = direction[..., 0], direction[..., 1], direction[..., 2]
    ox, oy = origin[0], origin[1] - _BACK
    a, half_b, c = x * x + y * y + 1e-12, ox * x + oy * y, ox * ox + oy * oy - _ROOM**2
    to_wall = (-half_b + np.sqrt(np.maximum(half_b**2 - a * c, 0.0))) / a
    to_floor = np.where(z < -1e-6, -origin[2] / np.minimum(z, -1e-6), np.inf)
    reach = np.minimum(to_wall, to_floor)
    px, py, pz = origin[0] + reach * x, origin[1] + reach * y, origin[2] + reach * z
    path = np.where(to_floor < to_wall, np.hypot(px, py - _BACK) - _ROOM, pz)
    light = np.where(path < _LEDGE, _table(_FLOOR, path), _table(_WALL, path) * wall.light)
    if letters is not None and pz.max() > _LEDGE:
        along = np.arctan2(px, py - _BACK) * _ROOM
        ink = lettering_at(letters, along - wall.along, pz - _LEDGE - 0.06 - wall.lift)
        ink = ink * (pz < _LEDGE + 0.1 + TALL + wall.lift) * (to_wall <= to_floor)
        light = light + (wall.ink - light) * ink
    return light, px, py


@lru_cache(maxsize=2)
def _values(knots: tuple[tuple[float, float], ...]) -> Array:
    return monotone_cubic(knots, np.linspace(knots[0][0], knots[-1][0], 4096))


def _table(knots: tuple[tuple[float, float], ...], x: Array) -> Array:
    """``monotone_cubic`` from a table of 4096 steps."""
    low, high = knots[0][0], knots[-1][0]
    values = _values(knots)
    return values[np.clip((x - low) * (4095 / (high - low)), 0, 4095).astype(np.int32)]


@lru_cache(maxsize=1)
def backdrop(wall: Wall = PLAIN) -> NDArray[np.float32]:
    """The studio without a car and without the turntable's marks, as an image: float32 (H, W, 3), 0 to 255."""
    letters = lettering()
    image = np.empty((camera.HEIGHT, camera.WIDTH, 3), np.float32)
    for top in range(0, camera.HEIGHT, _BAND):
        image[top : top + _BAND] = _band(top, letters, wall)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.75), dtype=np.float32)


def _band(top: int, letters: NDArray[np.float32], wall: Wall) -> Array:
    """A few rows of the backdrop, which fit into a core's cache."""
    x, y = np.meshgrid(np.arange(camera.WIDTH) + 0.5, np.arange(top, top + _BAND) + 0.5)
    light, px, py = _trace_rays(camera.EYE, camera.rays(x, y), letters, wall)
    from_middle = np.hypot(px, py)
    footprint = np.hypot(px, py + camera.DISTANCE) / camera.FOCAL * 4.0
    table = smoothstep(TABLE + 0.004, TABLE - 0.004, from_middle)
    # warmer and slightly darker than the floor, with a dark joint around it
    glow = 8.0 * np.exp(-((px / 3.5) ** 2) - ((py + 1.5) / 3.0) ** 2)
    color = np.stack([light * tint for tint in (0.992, 1.0, 1.012)], axis=-1)
    warm = np.stack([(light - 13.0 + glow) * tint for tint in (1.008, 0.994, 0.952)], axis=-1)
    color += table[..., None] * (warm - color)
    joint = np.exp(-(((from_middle - TABLE) / np.maximum(footprint, 0.012)) ** 2))
    color *= 1.0 - (0.42 * joint * np.minimum(1.0, 0.012 / np.maximum(footprint, 1e-6) + 0.35))[..., None]
    across, down = (x / camera.WIDTH - 0.5) * 2, (y / camera.HEIGHT - 0.5) * 2
    color *= (1.0 - 0.050 * (across**2 + 0.6 * down**2) ** 1.5)[..., None]
    return color


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The environment that the car reflects."""
    side = 512
    v, u = np.mgrid[0:side, 0:side]
    mx, my = (u + 0.5) / side * 2 - 1, (v + 0.5) / side * 2 - 1
    squared = np.minimum(mx**2 + my**2, 1.0 - 1e-6)
    stretch = 2.0 * np.sqrt(1.0 - squared)
    direction = np.stack([mx * stretch, my * stretch, 1.0 - 2.0 * squared], axis=-1)
    middle = np.array([0.0, 0.0, 0.75])
    light, px, py = _trace_rays(middle, direction, None)
    linear = (light / 255.0) ** 2
    color = np.stack([linear * tint for tint in (0.99, 1.0, 1.02)], axis=-1)
    # the half of the room behind the camera is dimmer, and dark above
    behind = smoothstep(0.1, -0.6, direction[..., 1])
    high = smoothstep(0.05, 0.11, direction[..., 2])
    color *= (1.0 - behind * (0.22 + 0.56 * high))[..., None]
    # the floor near the car is in its shadow
    near = np.hypot(px, py)
    shade = np.where(direction[..., 2] < 0, 0.30 + 0.70 * smoothstep(0.6, 3.2, near), 1.0)
    color *= shade[..., None]
    ceiling = _ceiling(direction)
    share = smoothstep(0.20, 0.34, direction[..., 2])[..., None]
    color = color * (1 - share) + ceiling * share
    sharp = color.astype(np.float32)
    small = cv2.GaussianBlur(cv2.resize(sharp[..., 1], (128, 128), interpolation=cv2.INTER_AREA), (0, 0), 7.0)
    soft = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return Environment(np.ascontiguousarray(np.dstack([sharp, soft]), dtype=np.float32))


def _ceiling(direction: Array) -> Array:
    """A dim ceiling with soft boxes: three above the car and a long one on each side."""
    height = np.maximum(direction[..., 2], 0.05)
    x, y = (direction[..., k] / height * (_CEILING - 0.75) for k in (0, 1))
    light = np.full(x.shape, 0.20)
    for cx, cy, w, h, power in (
        (-3.1, 0.3, 1.25, 2.2, 2.3), (0.0, 0.3, 1.25, 2.2, 2.6), (3.1, 0.3, 1.25, 2.2, 2.3),
        (0.0, -5.4, 5.5, 1.0, 2.9), (0.0, 5.8, 6.0, 1.1, 2.4), (-8.4, 0.0, 1.0, 4.5, 1.9), (8.4, 0.0, 1.0, 4.5, 1.9),
    ):  # fmt: skip
        light += (
            (power - 0.20)
            * smoothstep(w + 0.16, w - 0.16, np.abs(x - cx))
            * smoothstep(h + 0.16, h - 0.16, np.abs(y - cy))
        )
    return np.stack([light, light, light * 1.01], axis=-1)
