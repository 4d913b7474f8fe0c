"""Color palettes, and interpolation between their colors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pigment = tuple[int, int, int]

# from the darkest to the lightest, RGB
SKY: tuple[Pigment, ...] = (
    (13, 20, 52),
    (21, 42, 104),
    (36, 74, 152),
    (68, 120, 184),
    (122, 172, 200),
    (188, 212, 192),
    (238, 230, 178),
)
LIGHT: tuple[Pigment, ...] = ((255, 250, 214), (252, 228, 122), (244, 186, 52), (226, 140, 40), (140, 150, 110))
MOUNTAINS: tuple[Pigment, ...] = ((18, 28, 66), (34, 58, 112), (58, 92, 142), (96, 132, 156))
HILLS: tuple[Pigment, ...] = ((10, 26, 38), (18, 56, 66), (44, 92, 78), (110, 138, 80), (180, 170, 84))
FIELD: tuple[Pigment, ...] = ((12, 22, 26), (30, 54, 40), (84, 96, 44), (160, 132, 50), (206, 170, 80))
CYPRESS: tuple[Pigment, ...] = ((6, 10, 14), (14, 26, 24), (30, 48, 30), (66, 54, 28), (92, 84, 44))
OUTLINE: tuple[Pigment, ...] = ((8, 12, 28), (14, 22, 48))
WALLS: tuple[Pigment, ...] = ((40, 60, 92), (92, 116, 132), (160, 160, 138))
ROOFS: tuple[Pigment, ...] = ((44, 24, 34), (112, 46, 38), (168, 84, 52))
WINDOWS: tuple[Pigment, ...] = ((216, 110, 36), (246, 178, 60), (255, 226, 130))


def mix(pigments: Sequence[Pigment], tone: Array) -> Array:
    """Interpolates linearly between neighboring colors of a palette.

    Args:
        pigments: the palette.
        tone: (N,) position from 0 (first) to 1 (last); clipped.

    Returns:
        (N, 3) RGB, 0 to 255.
    """
    row = np.array(pigments, dtype=np.float64)
    place = np.clip(tone, 0.0, 1.0) * (len(row) - 1)
    left = np.minimum(place.astype(np.int64), len(row) - 2)
    share = (place - left)[:, None]
    return np.asarray(row[left] * (1 - share) + row[left + 1] * share)
