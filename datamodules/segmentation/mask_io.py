"""Reads the values stored in a mask file.

``datamodules/segmentation/label_map.py`` maps the stored values to class numbers.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.io.image_file import Header, apply_orientation, decode_image, open_image

Values = NDArray[np.uint8 | np.uint16]

Color = tuple[int, int, int]

#: Whether a mask was drawn on the image as it is stored, or as it is displayed with its EXIF orientation.
DrawnOn = Literal["same", "stored", "displayed", "unknown"]

_OPAQUE = 255


class StoredMask(NamedTuple):
    """The content of a mask file."""

    values: Values  # (H, W) uint8, or uint16 if the file holds more than 8 bits
    palette: list[Color]  # RGB of every index; empty if the values are not indices
    header: Header  # size and orientation as stored


def read_mask_values(path: Path, *, orientation: int = 1) -> Values:
    """Reads the numbers stored in a mask.

    A palette file gives its indices, unless its whole palette is gray: then it gives the gray values, because each
    file may number them differently (GIF stores gray only in this way). So the GIF masks of Carvana give 0 and 255.
    1-bit files give 0 and 1; gray files, and color files with equal channels, give the gray value; 16-bit, 32-bit and
    float files give whole numbers up to 65535. Fully transparent pixels give 0.

    PNG stores checksums, which are compared. GIF, BMP, TIFF and PPM have none: a damaged file of these formats may be
    read with other values.

    Args:
        path: a file of any format that ``read_image`` reads. Lossy formats such as JPEG change the values.
        orientation: EXIF orientation of the image to apply to the mask, if it was drawn on the stored image. The
            mask's own EXIF orientation is always applied.

    Returns:
        ``(H, W)`` uint8, or uint16 if the file holds more than 8 bits.

    Raises:
        DataError: as ``read_image``; or if the mask is in color, is half transparent, or holds fractions or numbers
            outside 0 to 65535.
    """
    return read_stored_mask(path, orientation=orientation).values


def read_stored_mask(path: Path, *, orientation: int = 1) -> StoredMask:
    """Reads the values as ``read_mask_values``, and the palette if they are indices."""
    image, own, header = decode_image(path)
    palette = _palette(image) if image.mode == "P" else []
    is_gray = bool(palette) and all(red == green == blue for red, green, blue in palette)
    values = _gray_values(image, palette) if is_gray else _values(image, path)
    if image.format == "PPM" and image.mode in ("L", "RGB", "I"):
        values = _unscale(values, _ppm_maximum(path))
    upright = apply_orientation(apply_orientation(values, own), orientation)
    return StoredMask(upright, [] if is_gray else palette, header)


def drawn_on(image: Header, mask: Header) -> DrawnOn:
    """Compares the sizes of an image and its mask to find which way up the mask was drawn.

    Masks rarely have EXIF. A mask of the image's stored size was drawn on the stored image, one that only fits the
    displayed size was drawn on the displayed image.

    Returns:
        ``"same"`` if there is nothing to decide: the image is stored upright, the mask has an EXIF orientation of its
        own, or its size fits neither way; ``"unknown"`` if both sizes are equal (half turns, mirrors, squares).
    """
    size, stored = (mask.height, mask.width), (image.height, image.width)
    if image.orientation == 1 or mask.orientation != 1 or size not in (stored, image.displayed):
        return "same"
    if stored == image.displayed:
        return "unknown"
    return "stored" if size == stored else "displayed"


def _values(image: Image.Image, path: Path) -> Values:
    mode = image.mode
    if mode in ("L", "P"):
        return np.array(image)
    if mode == "1":
        return np.asarray(image).astype(np.uint8)
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _whole_numbers(np.asarray(image), path)
    if mode == "PA":
        return _visible(np.asarray(image)[:, :, :1], np.asarray(image)[:, :, 1], path)
    if mode in ("LA", "La"):
        pixels = np.asarray(image.convert("LA"))
        return _visible(pixels[:, :, :1], pixels[:, :, 1], path)
    if mode == "RGB":
        return _one_channel(np.asarray(image), path)
    if mode == "RGBA":
        pixels = np.asarray(image)
        return _visible(pixels[:, :, :3], pixels[:, :, 3], path)
    raise DataError(f"{path}: is a mask in the color space {mode}; save it as an 8-bit gray or palette PNG")


def _palette(image: Image.Image) -> list[Color]:
    flat = image.getpalette("RGB") or []
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _gray_values(image: Image.Image, palette: list[Color]) -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[: len(palette)] = [red for red, _, _ in palette]
    return np.asarray(table[np.asarray(image)])


def _ppm_maximum(path: Path) -> int:
    """The largest value of a PPM file, from its header."""
    with open_image(path) as image:
        arguments = image.tile[0][3]
        maximum = arguments[1] if isinstance(arguments, tuple) and len(arguments) > 1 else None
        return maximum or (65535 if image.mode == "I" else 255)


def _unscale(values: Values, maximum: int) -> Values:
    """Undoes Pillow's scaling of a PPM's values to the full range of 8 or 16 bits."""
    top = int(np.iinfo(values.dtype).max)
    if maximum == top:
        return values
    return ((values.astype(np.uint64) * maximum + top // 2) // top).astype(values.dtype)


def _whole_numbers(pixels: NDArray[np.generic], path: Path) -> NDArray[np.uint16]:
    with np.errstate(invalid="ignore"):  # values that do not fit are found by the comparison below
        numbers = pixels.astype(np.uint16, casting="unsafe")
    if not np.array_equal(numbers, pixels):
        raise DataError(
            f"{path}: holds numbers that are not whole or lie outside 0 to 65535; a mask must hold class numbers"
        )
    return numbers


def _one_channel(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    gray = pixels[:, :, 0]
    if not (pixels == gray[:, :, None]).all():
        row, column = np.argwhere((pixels != gray[:, :, None]).any(axis=2))[0]
        raise DataError(
            f"{path}: is a mask in color (for example {tuple(pixels[row, column].tolist())} at row {row}, column "
            f"{column}), and colors are not class numbers; save it as a palette or gray PNG that holds the numbers"
        )
    return np.ascontiguousarray(gray)


def _visible(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Values of the opaque pixels, and 0 for transparent ones."""
    if alpha.min() == _OPAQUE:
        return _one_channel(pixels, path)
    if not np.isin(alpha, (0, _OPAQUE)).all():
        raise DataError(f"{path}: is a half transparent mask; flatten it on black and save it without transparency")
    opaque = np.where(alpha[:, :, None] == _OPAQUE, pixels, np.uint8(0))
    if not opaque.any() and alpha.any():
        raise DataError(
            f"{path}: the shape of this mask is only in its transparency, drawn in black; "
            f"save it as a gray PNG (0 background, 255 object)"
        )
    return _one_channel(opaque, path)
