"""Image files to RGB arrays, by explicit rules.

Every rule stands here because a decoder's default breaks it: EXIF rotation is applied, 16-bit gray is scaled by its
range and not clipped, transparency is laid on white, and a file that is not what it says is refused by name.

What is left out on purpose: color profiles are not applied (CMYK is converted without one), 16-bit color is
read at 8 bits, and an EXIF block that stands behind the pixels of a PNG is not looked for (browsers do the same).
"""

import os
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from datamodules.errors import DataError
from datamodules.io.bounded_file import BoundedFile

# Named, so that no file reaches the rarer decoders: one of them starts Ghostscript.
FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp"})

_ORIENTATION_TAG = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
_WHITE_IS_ZERO = 0

T = TypeVar("T")
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says about its image before a pixel is decoded.

    Args:
        height: rows as stored, before the rotation.
        width: columns as stored.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
    """

    height: int
    width: int
    orientation: int

    @property
    def displayed(self) -> tuple[int, int]:
        """Height and width as a viewer shows the image."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_image(path: Path, *, at_least: int | None = None) -> NDArray[np.uint8]:
    """Reads an image as a viewer shows it.

    Palette, 1-bit, gray, CMYK and YCbCr images are converted; 12- and 16-bit gray is scaled by its range; float
    gray must lie in [0, 1]; transparent parts are laid on white; of an animation or a stack the first frame counts.

    Args:
        path: a JPEG, PNG, GIF, TIFF, BMP or WebP file.
        at_least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is up to ten times faster, as long as
            both sides divide evenly (or else the image would be squeezed a little, and no longer lie on its mask)
            and stay at or above this many pixels.

    Returns:
        ``(H, W, 3)`` RGB, a fresh array, rotated as EXIF says.

    Raises:
        DataError: if there is no such file, or it cannot be read as an image, or it has more pixels than Pillow's
            limit (``PIL.Image.MAX_IMAGE_PIXELS``, about 89 million).
    """
    image, orientation = load(path, at_least=at_least)
    return upright(_to_rgb(image, path), orientation)


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image as a viewer shows it, from its header alone.

    Raises:
        DataError: as ``read_image``, except for damage behind the header.
    """
    return read_header(path).displayed


def read_header(path: Path) -> Header:
    """Size and orientation of an image without decoding it.

    Raises:
        DataError: as ``read_image``, except for damage behind the header.
    """
    return guarded(path, _header)


def load(path: Path, *, at_least: int | None = None) -> tuple[Image.Image, int]:
    """Decodes a file into an image of its own mode.

    Returns:
        The image, fully read, and the orientation that is still to be applied to its pixels.

    Raises:
        DataError: as ``read_image``.
    """

    def decode(image: Image.Image) -> tuple[Image.Image, int]:
        orientation = _header(image).orientation
        if at_least is not None:
            image.draft(None, _fraction(image.size, at_least))  # does nothing unless it is a JPEG
        image.load()
        # Pillow turns a TIFF by itself while loading, and only a TIFF.
        return image, 1 if isinstance(image, TiffImagePlugin.TiffImageFile) else orientation

    return guarded(path, decode)


def upright(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Turns stored pixels ``(H, W, ...)`` the way EXIF ``orientation`` (1 to 8) says they are shown."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _fraction(size: tuple[int, int], at_least: int) -> tuple[int, int]:
    for divisor in (8, 4, 2):
        if all(side % divisor == 0 and side // divisor >= at_least for side in size):
            return size[0] // divisor, size[1] // divisor
    return size


def _header(image: Image.Image) -> Header:
    # The base class's method: PNG's own decodes the whole image to look for EXIF behind the pixels.
    orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    if orientation not in range(1, 9):
        orientation = 1  # cameras write 0 for "not known"
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # its size is the displayed one, depending on the release
        width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
    return Header(height=int(height), width=int(width), orientation=int(orientation))


def guarded(path: Path, work: Callable[[Image.Image], T]) -> T:
    """Opens ``path`` for ``work``; whatever goes wrong in Pillow becomes a ``DataError`` that names the file.

    Args:
        path: an image file.
        work: gets the opened image, its pixels not decoded yet.

    Raises:
        DataError: as ``read_image``.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a file")
    if status.st_size == 0:
        raise DataError(f"{path}: is empty (0 bytes); copy or download it again, or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of oddities in metadata that leave the pixels whole
            with BoundedFile(path) as file, Image.open(file, formats=FORMATS) as image:
                _refuse_bomb(path, image.width * image.height)
                return work(image)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _bomb(path, "far more") from error
    except UnidentifiedImageError as error:
        names = ", ".join(FORMATS)
        raise DataError(f"{path}: is not an image that can be read ({names}), or its start is damaged") from error
    except OSError as error:
        if error.errno is not None:  # from the file system; Pillow's own have none
            raise DataError(f"{path}: cannot be read: {os.strerror(error.errno)}") from error
        raise _damaged(path, error) from error
    except Exception as error:  # damaged files raise struct.error, SyntaxError, KeyError, zlib.error and more
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{path}: is damaged or cut short ({reason}); copy or download it again, or remove it")


def _refuse_bomb(path: Path, pixels: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise _bomb(path, f"{pixels / 1e6:.0f} million")


def _bomb(path: Path, pixels: str) -> DataError:
    limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
    return DataError(f"{path}: has {pixels} pixels, more than the limit of {limit:.0f} million; make it smaller first")


def _to_rgb(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        return _gray_to_rgb(_scale_16_bit(image))
    if image.mode == "F":
        return _gray_to_rgb(_scale_float(np.asarray(image), path))
    if image.mode in ("I", "LAB", "HSV"):
        raise DataError(
            f"{path}: pixels of the kind {image.mode} (32-bit integers or an unusual color space) have no fixed black "
            f"and white; save it as 8-bit RGB, or 8- or 16-bit gray"
        )
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _gray_to_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(gray[:, :, None], 3, axis=2)


def _scale_16_bit(image: Image.Image) -> NDArray[np.uint8]:
    """The full range of the file's bits to 0..255, rounded."""
    bits, photometric = 16, None
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = int(image.tag_v2.get(_TIFF_BITS, (16,))[0])
        photometric = image.tag_v2.get(_TIFF_PHOTOMETRIC)
    top = 2**bits - 1
    values: NDArray[np.uint32] = np.asarray(image).astype(np.uint32)
    if photometric == _WHITE_IS_ZERO:  # Pillow turns 1 to 8 bits the right way, and forgets 16
        values = top - values
    scaled: NDArray[np.uint8] = ((values * 255 + top // 2) // top).astype(np.uint8)
    return scaled


def _scale_float(values: NDArray[np.float32], path: Path) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # so written, nan is refused too
        raise DataError(
            f"{path}: holds float values from {low:g} to {high:g}; only 0 to 1 has a fixed meaning: "
            f"scale it, or save it as 8- or 16-bit"
        )
    return np.rint(values * 255).astype(np.uint8)
