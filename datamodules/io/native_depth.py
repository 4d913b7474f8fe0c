"""Reads images at their own bit depth, with alpha, color profile and EXIF, so that results can keep them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.batches import ImageExtras
from datamodules.io.bit_depth import FULL_BITS, to_16_bits
from datamodules.io.deep_image import is_deep, is_plain_deep, read_deep
from datamodules.io.image import load_pillow, pillow_to_rgb, read_image
from datamodules.io.image_file import apply_orientation, decode_image

NativePixels = NDArray[np.uint8] | NDArray[np.uint16]

_GRAY = ("1", "L", "LA", "La", "F")
_GRAY_16 = "I;16"
_ORIENTATION_TAG, _UPRIGHT = 0x0112, 1
_WIDTH_TAG, _HEIGHT_TAG, _EXIF_IFD = 0xA002, 0xA003, 0x8769
# TIFF tags that describe how the pixels are stored: sizes, bits, compression, strips, tiles, samples, profile. Pillow
# returns them with the EXIF tags, but they hold for that file only.
_STORAGE_TAGS = frozenset(
    (*range(254, 267), 273, *range(277, 282), 284, 292, 293, 297, *range(317, 348), *range(512, 533), 34675)
)


def read_native_depth(path: Path, *, bits: int = FULL_BITS) -> NativePixels:
    """Reads the colors of an image as displayed, at the bit depth of the file.

    Unlike ``read_image`` it keeps 16 bits and ignores alpha: the colors of transparent pixels are returned as stored.

    Args:
        path: an image file.
        bits: bits that the values of a 16-bit file use; fewer than 16 are scaled to the full range.

    Returns:
        ``(H, W, 3)`` RGB, uint8 or uint16.

    Raises:
        DataError: as ``read_image``.
    """
    image, orientation, _ = decode_image(path)
    if is_plain_deep(path) and (deep := read_deep(path)) is not None:
        colors = deep[..., :3] if bits == FULL_BITS else to_16_bits(deep[..., :3], bits, path)
        return apply_orientation(colors, orientation)
    if _needs_scaling(image) or (bits < FULL_BITS and is_deep(path)):
        return read_image(path, bits=bits)
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
    image, orientation, _ = decode_image(path)
    extras = _extras(image, orientation)
    if is_plain_deep(path) and (deep := read_deep(path)) is not None:
        return extras._replace(alpha=apply_orientation(deep[..., 3], orientation) if deep.shape[2] == 4 else None)
    return extras


def _extras(image: Image.Image, orientation: int) -> ImageExtras:
    alpha: NativePixels | None = None
    if image.has_transparency_data:
        alpha = apply_orientation(np.array(image.convert("RGBA"))[..., 3], orientation)
    gray = image.mode in _GRAY or image.mode.startswith(_GRAY_16)
    icc = image.info.get("icc_profile") if image.mode != "CMYK" else None
    return ImageExtras(gray=gray, alpha=alpha, icc=icc or None, exif=_exif(image))


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
