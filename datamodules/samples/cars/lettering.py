"""The name on the wall of the studio."""

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.samples.cars.curves import Array

LENGTH, TALL = 10.2, 1.30  # meters
_SCALE = 200  # texels per meter
_MARGIN = 0.2
_THIN, _BOLD = 0.115, 0.25
_WIDTH, _GAP = 0.96, 0.36

Line = list[tuple[float, float]]


def _arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Line:
    angles = np.radians(np.linspace(start, end, 48))
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def _letter_strokes(letter: str) -> list[Line]:
    """Strokes of a letter in the unit square, y up."""
    bowl = [(0.0, 0.0), (0.0, 1.0), *_arc(0.35, 0.5, 0.65, 0.5, 90, -90), (0.0, 0.0)]
    upper = [(0.0, 0.0), (0.0, 1.0), (0.45, 1.0), *_arc(0.5, 0.74, 0.42, 0.26, 90, -90), (0.0, 0.48)]
    return {
        "D": [bowl],
        "A": [[(0.0, 0.0), (0.5, 1.0), (1.0, 0.0)], [(0.78, 0.30), (0.52, 0.30)]],
        "R": [upper, [(0.45, 0.48), (0.95, 0.0)]],
        "K": [[(0.0, 0.0), (0.0, 1.0)], [(0.9, 1.0), (0.05, 0.45)], [(0.3, 0.6), (0.95, 0.0)]],
        "O": [_arc(0.5, 0.5, 0.55, 0.5, 0, 360)],
        "M": [[(0.0, 0.0), (0.0, 1.0), (0.5, 0.25), (1.0, 1.0), (1.0, 0.0)]],
    }[letter]


def lettering() -> NDArray[np.float32]:
    """Mask of the name at 200 texels per meter, with a margin of 0.2 m."""
    rows, columns = round((TALL + 2 * _MARGIN) * _SCALE), round((LENGTH + 2 * _MARGIN) * _SCALE)
    mask = np.zeros((rows, columns), np.uint8)
    left = _MARGIN + (LENGTH - 8 * _WIDTH - 7 * _GAP) / 2
    for k, letter in enumerate("DARKROOM"):
        thick = _THIN if k < 4 else _BOLD
        for line in _letter_strokes(letter):
            x, y = np.array(line).T
            inset = thick / 2
            px = (left + inset + x * (_WIDTH - thick)) * _SCALE
            py = (_MARGIN + TALL - inset - y * (TALL - thick)) * _SCALE
            points = np.round(np.stack([px, py], axis=-1) * 16).astype(np.int32)
            cv2.polylines(mask, [points], False, 255, round(thick * _SCALE), cv2.LINE_AA, 4)
        left += _WIDTH + _GAP
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.8), dtype=np.float32) / np.float32(255)


def lettering_at(mask: NDArray[np.float32], along: Array, up: Array) -> Array:
    """Interpolates the mask at meters along the wall from its center and meters above the baseline."""
    x = (along + LENGTH / 2 + _MARGIN) * _SCALE - 0.5
    y = (TALL + _MARGIN - up) * _SCALE - 0.5
    found = cv2.remap(
        mask, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(found, dtype=np.float64)
