"""Reads animated GIFs frame by frame with Pillow.

FFmpeg finds the frames of a GIF by their graphic control blocks, which are optional: without them it sees one frame.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.io.image_file import open_image

_TICK = Fraction(1, 100)  # unit of a GIF's delays, in seconds
_MAX_FRAMES = 1_000_000  # more than any file holds
_MIN_DELAY, _DEFAULT_DELAY = 2, 10  # browsers display frames with a smaller delay for 1/10 s


def gif_durations(path: Path) -> list[Fraction]:
    """Duration of every frame in seconds, as browsers display it. The list ends at the first damaged frame.

    Raises:
        DataError: if the file cannot be read as an image.
    """
    durations: list[Fraction] = []
    with open_image(path) as image:
        for number in range(_MAX_FRAMES):
            try:
                image.seek(number)
            except (EOFError, OSError, SyntaxError, ValueError):
                break
            durations.append(_duration(image))
    return durations


def gif_frames(path: Path) -> Iterator[tuple[NDArray[np.uint8], Fraction]]:
    """Decodes the frames one after the other, with transparency on white.

    Yields:
        ``(H, W, 3)`` RGB, and the time at which the frame is displayed, in seconds. Ends at the first damaged frame.

    Raises:
        DataError: if the file cannot be read as an image.
    """
    time = Fraction(0)
    with open_image(path) as image:
        for number in range(_MAX_FRAMES):
            try:
                image.seek(number)
                frame = image.convert("RGBA")
            except (EOFError, OSError, SyntaxError, ValueError):
                return
            white = Image.new("RGBA", frame.size, "white")
            yield np.array(Image.alpha_composite(white, frame).convert("RGB")), time
            time += _duration(image)


def _duration(image: Image.Image) -> Fraction:
    delay = round(image.info.get("duration", 0) / 10)
    return (_DEFAULT_DELAY if delay < _MIN_DELAY else delay) * _TICK
