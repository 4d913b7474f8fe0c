"""Writing of results: complete files only, and one kind of error for a full disk or a read-only folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from PIL import Image

from callbacks.errors import OutputError
from datamodules.io.atomic_file import atomic_path

#: zlib's level for PNG. Twice as fast as Pillow's 6, and within 10 % of its size.
PNG_LEVEL = 4
# OpenCV's settings. Pillow tries all filters of PNG for every row, which takes most of its time.
# Masks are runs of equal values: a sixth of the time of Pillow at level 4, and files of three quarters of the size.
_MASK = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)
# Cut-outs: 0.6 of the time of Pillow at level 1, files are 7 % larger.
_RGBA = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB),
)
_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


@contextmanager
def output_path(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``target`` and renames it at the end, see ``atomic_path``.

    Yields:
        The path to write to.

    Raises:
        OutputError: if the file cannot be written. ``target`` is unchanged then.
    """
    try:
        with atomic_path(target) as partial:
            yield partial
    except OSError as error:
        raise OutputError(
            f"{target} could not be written ({error.strerror or error}): files written before it are complete; "
            "free some space or name another folder"
        ) from error


@contextmanager
def output_file(target: Path) -> Iterator[BinaryIO]:
    """Opens a binary file that gets the name ``target`` when the block ends without an error.

    Yields:
        The file to write to.

    Raises:
        OutputError: if the file cannot be written. ``target`` is unchanged then.
    """
    with output_path(target) as partial, partial.open("wb") as file:
        yield file


def save_png(
    target: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16], palette: NDArray[np.uint8] | None = None
) -> None:
    """Writes a PNG.

    Args:
        target: the final file.
        pixels: (H, W) gray of 8 or 16 bits or, with ``palette``, class indices; (H, W, 3) RGB; (H, W, 4) RGBA.
        palette: (C, 3) colors of the classes. Image viewers show them; readers of the file get the indices.

    Raises:
        OutputError: if the file cannot be written.
    """
    if pixels.dtype == np.uint8 and palette is None and pixels.ndim == 2:
        content = _encode(".png", pixels, _MASK)
    elif pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 4:
        content = _encode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA), _RGBA)
    else:
        image = Image.fromarray(pixels)
        if palette is not None:
            image.putpalette(palette.tobytes())
        buffer = BytesIO()
        image.save(buffer, "PNG", compress_level=PNG_LEVEL)
        content = buffer.getbuffer()
    _write(target, content)


def save_jpeg(target: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes (H, W, 3) RGB as a JPEG of quality 95 without chroma subsampling.

    Raises:
        OutputError: if the file cannot be written.
    """
    _write(target, _encode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _JPEG))


def _encode(suffix: str, pixels: MatLike, settings: Sequence[int]) -> memoryview:
    done, content = cv2.imencode(suffix, pixels, settings)
    if not done:
        raise RuntimeError(f"OpenCV could not encode a {suffix[1:].upper()}")
    return content.data


def _write(target: Path, content: memoryview) -> None:
    with output_file(target) as file:
        file.write(content)
