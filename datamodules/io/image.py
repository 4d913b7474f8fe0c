"""Decodes image files to RGB arrays.

The rules replace decoder defaults that lose data: EXIF orientation is applied, 16-bit gray is scaled by its range (or
that of fewer bits, and colors too, where the caller names them) and not clipped, transparency is composited on white,
and a file that is no image is refused by name.

Not done on purpose: color profiles are not applied (CMYK is converted without one), 16-bit color is read at 8 bits,
and EXIF behind the pixels of a PNG is ignored (browsers do the same).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from datamodules.errors import DataError
from datamodules.io.bit_depth import FULL_BITS, to_8_bits
from datamodules.io.deep_image import is_deep, read_deep_upright
from datamodules.io.file_checks import check_content
from datamodules.io.image_file import (
    Header,
    apply_orientation,
    draft_size,
    header_of,
    open_image,
    orientation_of,
    read_header,
)
from datamodules.io.jpeg import decode_jpeg

_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0


def read_image(path: Path, *, for_size: int | None = None, bits: int = FULL_BITS) -> NDArray[np.uint8]:
    """Reads an image as a viewer displays it; see ``read_image_and_header``."""
    return read_image_and_header(path, for_size=for_size, bits=bits)[0]


def read_image_and_header(
    path: Path, *, for_size: int | None = None, bits: int = FULL_BITS
) -> tuple[NDArray[np.uint8], Header]:
    """Reads an image as a viewer displays it, and its header.

    Palette, 1-bit, gray, CMYK and YCbCr images are converted; 12- and 16-bit gray is scaled by its range; float
    gray must lie in [0, 1]; transparency is composited on white; of an animation or a stack the first frame is read.

    Args:
        path: a JPEG, PNG, GIF, TIFF, BMP, WebP, AVIF, HEIC, JPEG 2000 or PPM file.
        for_size: side that the image will be reduced to. A JPEG may then be decoded at 1/2, 1/4 or 1/8 of its size,
            which is up to ten times faster, if both sides divide evenly (else the image would be squeezed a little and
            not fit its mask) and stay large enough, see ``draft_size``.
        bits: bits that the values of a 16-bit file use: ``2**bits - 1`` is white. Its alpha has the full range.

    Returns:
        ``(H, W, 3)`` RGB, a fresh array, with its EXIF orientation applied; and size and orientation of the file.

    Raises:
        DataError: if there is no such file, or it cannot be read as an image, or it has more pixels than
            ``pixel_limit()``, about 179 million, or values of more than ``bits`` bits.
    """
    with open_image(path) as image:
        orientation, header = orientation_of(image), header_of(image)
        check_content(image)
        size = image.size if for_size is None else draft_size(image.size, for_size)
        pixels = decode_jpeg(image, size)
        if pixels is None:
            image.draft(None, size)  # no effect unless it is a JPEG
            image.load()
            deep = bits < FULL_BITS and not image.mode.startswith("I;16") and is_deep(path)
            pixels = _deep_to_rgb(read_deep_upright(path), path, bits=bits) if deep else _to_rgb(image, path, bits=bits)
    return apply_orientation(pixels, orientation), header


def pillow_to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Converts an image that Pillow opened, by the rules of ``read_image``.

    Returns:
        ``(H, W, 3)`` RGB, a fresh array, with its EXIF orientation applied.

    Raises:
        DataError: if its mode has no fixed black and white, or its pixels cannot be decoded.
    """
    image, orientation = load_pillow(image)
    return apply_orientation(_to_rgb(image, _name(image)), orientation)


def load_pillow(image: Image.Image) -> tuple[Image.Image, int]:
    """Decodes an image that Pillow opened, and returns it with the EXIF orientation that is still to be applied.

    Raises:
        DataError: if its pixels cannot be decoded.
    """
    orientation = orientation_of(image)
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{_name(image)}: its pixels cannot be decoded ({error})") from error
    return image, orientation


def _name(image: Image.Image) -> str:
    return str(getattr(image, "filename", "") or "the image")


def image_size(path: Path) -> tuple[int, int]:
    """Reads the displayed height and width from the header.

    Raises:
        DataError: as ``read_image``, except for damage behind the header.
    """
    return read_header(path).displayed


def _to_rgb(image: Image.Image, path: Path | str, *, bits: int = FULL_BITS) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _gray_to_rgb(_scale_16_bit(image, path, bits=bits))
    if image.mode == "F":
        return _gray_to_rgb(_scale_float(np.asarray(image), path))
    if image.mode in ("I", "LAB", "HSV"):
        raise DataError(
            f"{path}: the pixel type {image.mode} (32-bit integers or an unusual color space) has no fixed black "
            f"and white; save it as 8-bit RGB, or 8- or 16-bit gray"
        )
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = _on_white(image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _deep_to_rgb(values: NDArray[np.uint16], path: Path, *, bits: int) -> NDArray[np.uint8]:
    """Scales stored colors ``(H, W, 3 or 4)`` by their bits, and composites them on white."""
    colors = to_8_bits(values[..., :3], bits, path)
    if values.shape[2] == 3:
        return colors
    alpha = to_8_bits(values[..., 3:], FULL_BITS, path)
    return np.array(_on_white(Image.fromarray(np.dstack([colors, alpha]))).convert("RGB"))


def _gray_to_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(gray[:, :, None], 3, axis=2)


def _scale_16_bit(image: Image.Image, path: Path | str, *, bits: int) -> NDArray[np.uint8]:
    """Scales the full range of the file's bit depth, or of ``bits`` in a file of 16, to 0 to 255, rounded."""
    photometric = None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        stated = int(image.tag_v2.get(_TIFF_BITS, (FULL_BITS,))[0])
        bits = bits if stated == FULL_BITS else stated
        photometric = image.tag_v2.get(_TIFF_PHOTOMETRIC)
    elif image.format != "PNG":  # Pillow scales the values of other formats by the range that the file states
        bits = FULL_BITS
    scaled = to_8_bits(np.asarray(image).astype(np.uint16), bits, path)
    return 255 - scaled if photometric == _WHITE_IS_ZERO else scaled  # Pillow inverts 1 to 8 bits, but not 16


def _scale_float(values: NDArray[np.float32], path: Path | str) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # this form refuses nan too
        raise DataError(
            f"{path}: holds float values from {low:g} to {high:g}; only 0 to 1 has a fixed meaning: "
            f"scale it, or save it as 8- or 16-bit"
        )
    return np.rint(values * 255).astype(np.uint8)
