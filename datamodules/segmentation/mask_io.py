"""Mask files to the values they hold.

What a mask file means is settled in two steps: this file reads the numbers that are stored, and
``datamodules/segmentation/label_map.py`` says which number is which class. Neither guesses.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.io.image import load, read_header, upright

Values = NDArray[np.uint8 | np.uint16]

Color = tuple[int, int, int]

_OPAQUE = 255


class StoredMask(NamedTuple):
    """What a mask file holds."""

    values: Values  # (H, W) uint8, or uint16 where the file holds more than 8 bits
    palette: list[Color]  # RGB of every index; empty where the values are no indices


def read_mask_values(path: Path, *, orientation: int = 1) -> Values:
    """Reads the numbers stored in a mask.

    Palette files give their indices and not their colors; unless the whole palette is gray, for then it is only a
    way to store gray, whose numbering differs from file to file (GIF has no other), and the shade counts. So the GIF
    masks of Carvana give 0 and 255. 1-bit files give 0 and 1; gray, and color whose channels are equal, give the gray
    value; 16- and 32-bit and float files give whole numbers up to 65535. Fully transparent pixels give 0.

    Args:
        path: a PNG, GIF, TIFF, BMP (or, unwisely, JPEG) file.
        orientation: EXIF orientation that the mask shares with its image, from ``mask_orientation``; the mask's own
            EXIF is applied in any case.

    Returns:
        ``(H, W)`` uint8, or uint16 where the file holds more than 8 bits.

    Raises:
        DataError: as ``read_image``; or if the mask is colored, half transparent, or has fractions or numbers
            outside 0 to 65535.
    """
    return read_stored_mask(path, orientation=orientation).values


def read_stored_mask(path: Path, *, orientation: int = 1) -> StoredMask:
    """As ``read_mask_values``, with the palette of a file whose values are indices."""
    image, own = load(path)
    palette = _colors(image) if image.mode == "P" else []
    shades = bool(palette) and all(red == green == blue for red, green, blue in palette)
    values = _shades(image, palette) if shades else _values(image, path)
    return StoredMask(upright(upright(values, own), orientation), [] if shades else palette)


def mask_orientation(image_path: Path, mask_path: Path) -> int:
    """The EXIF orientation with which ``read_mask_values`` brings a mask to its image as ``read_image`` gives it.

    Masks rarely carry EXIF. One that has the size of the image as stored was drawn on the stored image and must
    be turned with it; one that only fits the image as displayed must not. Where both sizes are the same (half turns,
    mirrors, squares) the mask is taken to be stored as its image is. A mask with EXIF of its own needs none.

    Returns:
        1 to 8, 1 for "as it is". Sizes that fit neither way also give 1; comparing sizes is up to the caller.

    Raises:
        DataError: if one of the two headers cannot be read.
    """
    image, mask = read_header(image_path), read_header(mask_path)
    same_as_stored = (mask.height, mask.width) == (image.height, image.width)
    return image.orientation if mask.orientation == 1 and same_as_stored else 1


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


def _colors(image: Image.Image) -> list[Color]:
    flat = image.getpalette("RGB") or []
    return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _shades(image: Image.Image, palette: list[Color]) -> NDArray[np.uint8]:
    shades = np.zeros(256, np.uint8)
    shades[: len(palette)] = [red for red, _, _ in palette]
    return np.asarray(shades[np.asarray(image)])


def _whole_numbers(pixels: NDArray[np.generic], path: Path) -> NDArray[np.uint16]:
    with np.errstate(invalid="ignore"):  # what does not fit is found by comparing
        numbers = pixels.astype(np.uint16, casting="unsafe")
    if not np.array_equal(numbers, pixels):
        raise DataError(
            f"{path}: holds numbers that are not whole or lie outside 0 to 65535; a mask holds class numbers"
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
    """Values of the opaque pixels, 0 for the transparent ones."""
    if alpha.min() == _OPAQUE:
        return _one_channel(pixels, path)
    if not np.isin(alpha, (0, _OPAQUE)).all():
        raise DataError(f"{path}: is a half transparent mask; flatten it on black and save it without transparency")
    shown = np.where(alpha[:, :, None] == _OPAQUE, pixels, np.uint8(0))
    if not shown.any() and alpha.any():
        raise DataError(
            f"{path}: the shape of this mask is only in its transparency, drawn in black; "
            f"save it as a gray PNG (0 background, 255 object)"
        )
    return _one_channel(shown, path)
