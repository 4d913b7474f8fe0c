"""Reads images at their own bit depth, with alpha, color profile and EXIF, so that results can keep them."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from datamodules.batches import ImageExtras
from datamodules.errors import DataError
from datamodules.io.image import load_pillow, pillow_to_rgb, read_image
from datamodules.io.image_file import apply_orientation, decode_image, open_image

NativePixels = NDArray[np.uint8] | NDArray[np.uint16]

_GRAY = ("1", "L", "LA", "La", "F")
_GRAY_16 = "I;16"
_SUFFIXES_16_BIT = frozenset({".png", ".tif", ".tiff"})
_ORIENTATION_TAG, _UPRIGHT = 0x0112, 1
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_WIDTH_TAG, _HEIGHT_TAG, _EXIF_IFD = 0xA002, 0xA003, 0x8769
# TIFF tags that describe how the pixels are stored: sizes, bits, compression, strips, tiles, samples, profile. Pillow
# returns them with the EXIF tags, but they hold for that file only.
_STORAGE_TAGS = frozenset(
    (*range(254, 267), 273, *range(277, 282), 284, 292, 293, 297, *range(317, 348), *range(512, 533), 34675)
)


def read_native_depth(path: Path) -> NativePixels:
    """Reads the colors of an image as displayed, at the bit depth of the file.

    Unlike ``read_image`` it keeps 16 bits and ignores alpha: the colors of transparent pixels are returned as stored.

    Returns:
        ``(H, W, 3)`` RGB, uint8 or uint16.

    Raises:
        DataError: as ``read_image``.
    """
    image, orientation = decode_image(path)
    if _is_16_bit(path) and (deep := _decode_16_bit(path)) is not None:
        return apply_orientation(deep[..., :3], orientation)
    if _needs_scaling(image):
        return read_image(path)
    return _stored_colors(image, orientation)


def pillow_colors(image: Image.Image) -> NDArray[np.uint8]:
    """Converts an image that Pillow opened by the rules of ``read_native_depth``, always to 8 bits.

    Returns:
        ``(H, W, 3)`` RGB.

    Raises:
        DataError: as ``pillow_to_rgb``.
    """
    image, orientation = load_pillow(image)
    return pillow_to_rgb(image) if _needs_scaling(image) else _stored_colors(image, orientation)


def pillow_extras(image: Image.Image) -> ImageExtras:
    """As ``read_extras``, for an image that Pillow opened.

    Raises:
        DataError: if its pixels cannot be decoded.
    """
    return _extras(*load_pillow(image))


def _needs_scaling(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith(_GRAY_16) or image.mode in ("I", "LAB", "HSV")


def _stored_colors(image: Image.Image, orientation: int) -> NDArray[np.uint8]:
    if image.has_transparency_data:
        image = image.convert("RGBA")
    return apply_orientation(np.array(image.convert("RGB") if image.mode != "RGBA" else image)[..., :3], orientation)


def read_extras(path: Path) -> ImageExtras:
    """Reads alpha, color profile and EXIF of an image, and whether it is gray.

    The color profile of a CMYK image is left out, since results are RGB.

    Raises:
        DataError: as ``read_image``.
    """
    image, orientation = decode_image(path)
    extras = _extras(image, orientation)
    if _is_16_bit(path) and (deep := _decode_16_bit(path)) is not None:
        return extras._replace(alpha=apply_orientation(deep[..., 3], orientation) if deep.shape[2] == 4 else None)
    return extras


def _extras(image: Image.Image, orientation: int) -> ImageExtras:
    alpha: NativePixels | None = None
    if image.has_transparency_data:
        alpha = apply_orientation(np.array(image.convert("RGBA"))[..., 3], orientation)
    gray = image.mode in _GRAY or image.mode.startswith(_GRAY_16)
    icc = image.info.get("icc_profile") if image.mode != "CMYK" else None
    return ImageExtras(gray=gray, alpha=alpha, icc=icc or None, exif=_exif(image))


def largest_16_bit_value(path: Path) -> int | None:
    """The largest stored value of an image with 16 bits per channel; ``None`` for any other image.

    Raises:
        DataError: as ``read_image``.
    """
    if path.suffix.lower() not in _SUFFIXES_16_BIT or not _is_16_bit(path):
        return None
    pixels = _decode_16_bit(path)
    return None if pixels is None else int(pixels[..., :3].max())


def depth_notes(largest: Iterable[int | None]) -> list[str]:
    """A line for the summary if 16-bit images use few of their bits and are therefore nearly black.

    Args:
        largest: largest stored value of each image; ``None`` for images of 8 bits.
    """
    found = [value for value in largest if value is not None]
    top = max(found, default=0)
    if not 0 < top < 2**15:
        return []
    return [
        f"  DARK IMAGES: the {len(found)} 16-bit images hold values up to {top} of 65535 ({top.bit_length()} bits), so "
        f"the network gets at most {round(top * 255 / 65535)} of 255; save them with the full range of 16 bits "
        f"(multiplied by {65535 // (2 ** top.bit_length() - 1)}), or as 8-bit images"
    ]


def _exif(image: Image.Image) -> bytes | None:
    """The file's EXIF without orientation, size and storage tags, which do not hold for a result."""
    exif = Image.Image.getexif(image)
    if not len(exif):
        return None
    if _ORIENTATION_TAG in exif:
        exif[_ORIENTATION_TAG] = _UPRIGHT
    details = exif.get_ifd(_EXIF_IFD)
    for tag in (_WIDTH_TAG, _HEIGHT_TAG):
        details.pop(tag, None)
    for tag in _STORAGE_TAGS.intersection(exif):
        del exif[tag]
    if not details and set(exif) <= {_EXIF_IFD, _ORIENTATION_TAG}:
        return None
    try:
        return exif.tobytes()
    except Exception:  # entries of some cameras cannot be written back; the result is written without EXIF
        return None


def _is_16_bit(path: Path) -> bool:
    """Whether the file has 16 bits per channel; Pillow silently decodes such colors to 8 bits.

    Rotated TIFFs, and those whose white is 0, are read at 8 bits: releases of OpenCV decode them differently.
    """
    with open_image(path) as image:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            tags = image.tag_v2
            usual = tags.get(_TIFF_PHOTOMETRIC) != _WHITE_IS_ZERO and tags.get(_ORIENTATION_TAG, 1) == _UPRIGHT
            return usual and set(tags.get(_TIFF_BITS, (8,))) == {16}
        return isinstance(image, PngImagePlugin.PngImageFile) and ";16" in str(image.tile)


def _decode_16_bit(path: Path) -> NDArray[np.uint16] | None:
    """All channels as stored, ``(H, W, 3 or 4)`` with RGB first; ``None`` if OpenCV does not return 16 bits."""
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
