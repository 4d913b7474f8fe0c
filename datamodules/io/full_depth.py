"""Images in full: their own depth, and what they have besides colors. For results that shall lose nothing."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin, TiffImagePlugin

from datamodules.batches import ImageExtras
from datamodules.errors import DataError
from datamodules.io.image import guarded, load, read_image, upright

Deep = NDArray[np.uint8] | NDArray[np.uint16]

_GRAY = ("1", "L", "LA", "La", "F")
_GRAY_16 = "I;16"
_ORIENTATION_TAG, _UPRIGHT = 0x0112, 1
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_WIDTH_TAG, _HEIGHT_TAG, _EXIF_IFD = 0xA002, 0xA003, 0x8769
# What a TIFF says of how its pixels are stored: sizes, bits, compression, strips, tiles, samples, profile. Pillow gives
# it as EXIF, and it holds for no other file.
_STORAGE_TAGS = frozenset(
    (*range(254, 267), 273, *range(277, 282), 284, 292, 293, 297, *range(317, 348), *range(512, 533), 34675)
)


def read_colors(path: Path) -> Deep:
    """Reads the colors of an image as displayed, at the depth of the file.

    Unlike ``read_image`` it keeps 16 bits and lays nothing on white: what lies under a transparent part is given as
    it is stored.

    Returns:
        ``(H, W, 3)`` RGB, uint8 or uint16.

    Raises:
        DataError: as ``read_image``.
    """
    image, orientation = load(path)
    if _is_16_bit(path) and (deep := _decode_16_bit(path)) is not None:
        return upright(deep[..., :3], orientation)
    if image.mode == "F" or image.mode.startswith(_GRAY_16) or image.mode in ("I", "LAB", "HSV"):
        return read_image(path)
    if image.has_transparency_data:
        image = image.convert("RGBA")
    return upright(np.array(image.convert("RGB") if image.mode != "RGBA" else image)[..., :3], orientation)


def read_extras(path: Path) -> ImageExtras:
    """Reads what an image has besides its colors.

    A color profile of CMYK is left out, since results are RGB.

    Raises:
        DataError: as ``read_image``.
    """
    image, orientation = load(path)
    alpha: Deep | None = None
    if _is_16_bit(path) and (deep := _decode_16_bit(path)) is not None:
        alpha = upright(deep[..., 3], orientation) if deep.shape[2] == 4 else None
    elif image.has_transparency_data:
        alpha = upright(np.array(image.convert("RGBA"))[..., 3], orientation)
    gray = image.mode in _GRAY or image.mode.startswith(_GRAY_16)
    icc = image.info.get("icc_profile") if image.mode != "CMYK" else None
    return ImageExtras(gray=gray, alpha=alpha, icc=icc or None, exif=_exif(image))


def _exif(image: Image.Image) -> bytes | None:
    """The file's EXIF, for pixels that are upright now and of another size."""
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
    except Exception:  # odd entries of some cameras cannot be written back: the image matters more
        return None


def _is_16_bit(path: Path) -> bool:
    """Whether the file has 16 bits a channel; Pillow decodes such colors to 8 without a word.

    Turned TIFFs, and those whose white is 0, are taken at 8 bits: OpenCV's releases differ in what they make of them.
    """
    return guarded(path, _says_16_bit)


def _says_16_bit(image: Image.Image) -> bool:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        usual = image.tag_v2.get(_TIFF_PHOTOMETRIC) != _WHITE_IS_ZERO and image.tag_v2.get(_ORIENTATION_TAG, 1) == 1
        return usual and set(image.tag_v2.get(_TIFF_BITS, (8,))) == {16}
    return isinstance(image, PngImagePlugin.PngImageFile) and ";16" in str(image.tile)


def _decode_16_bit(path: Path) -> NDArray[np.uint16] | None:
    """All channels as stored, RGB first, ``(H, W, 3 or 4)``; ``None`` for what OpenCV does not read as 16 bits."""
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
