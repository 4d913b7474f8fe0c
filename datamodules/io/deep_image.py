"""Reads the stored values of images with 16 bits per channel, which Pillow decodes to 8 bits where they have colors."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, PpmImagePlugin, TiffImagePlugin

from datamodules.errors import DataError
from datamodules.io.image_file import open_image

_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"})
_ORIENTATION_TAG, _UPRIGHT = 0x0112, 1
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_WHITE = 65535


def is_deep(path: Path) -> bool:
    """Whether a PNG, TIFF or PPM file has 16 bits per channel. A PPM of another maximum is scaled by that.

    Raises:
        DataError: as ``open_image``.
    """
    if path.suffix.lower() not in _SUFFIXES:
        return False
    with open_image(path) as image:
        return _is_deep(image)


def is_plain_deep(path: Path) -> bool:
    """Whether ``read_deep`` returns the pixels as ``decode_image`` does, with black as 0.

    Not for rotated TIFFs, and those whose white is 0: releases of OpenCV decode them differently.

    Raises:
        DataError: as ``open_image``.
    """
    with open_image(path) as image:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            tags = image.tag_v2
            usual = tags.get(_TIFF_PHOTOMETRIC) != _WHITE_IS_ZERO and tags.get(_ORIENTATION_TAG, 1) == _UPRIGHT
            return usual and _is_deep(image)
        return isinstance(image, PngImagePlugin.PngImageFile) and _is_deep(image)


def read_deep(path: Path) -> NDArray[np.uint16] | None:
    """All channels as stored, ``(H, W, 3 or 4)`` with RGB first; ``None`` if OpenCV does not return 16 bits.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if pixels is None or pixels.dtype != np.uint16:
        return None
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return np.ascontiguousarray(pixels[..., order])


def read_deep_upright(path: Path) -> NDArray[np.uint16]:
    """As ``read_deep``, for colors that are scaled by fewer bits than 16.

    Raises:
        DataError: if the file cannot be read, or is a rotated TIFF.
    """
    with open_image(path) as image:
        rotated = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_ORIENTATION_TAG, 1) != _UPRIGHT
    pixels = None if rotated else read_deep(path)
    if pixels is None:
        raise DataError(
            f"{path}: its 16-bit colors can be read at 8 bits only, so --data.bits does not apply: save it upright, as "
            "PNG or plain TIFF"
        )
    return pixels


def largest_deep_value(path: Path) -> int | None:
    """The largest stored value of an image with 16 bits per channel, alpha left out; ``None`` for any other image.

    Raises:
        DataError: as ``read_image``.
    """
    if not is_deep(path):
        return None
    with open_image(path) as image:
        if image.mode.startswith("I"):
            image.load()
            return int(np.asarray(image).max())
    pixels = read_deep(path)
    return None if pixels is None else int(pixels[..., :3].max())


def _is_deep(image: Image.Image) -> bool:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return set(image.tag_v2.get(_TIFF_BITS, (8,))) == {16} and image.mode != "F"
    if isinstance(image, PpmImagePlugin.PpmImageFile):
        arguments = image.tile[0].args if image.tile else None
        return arguments == "I;16B" or (isinstance(arguments, tuple) and arguments[-1] == _WHITE)
    return isinstance(image, PngImagePlugin.PngImageFile) and ";16" in str(image.tile)
