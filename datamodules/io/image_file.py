"""Opens image files safely: known formats only, bounded memory, and errors that name the file."""

import io
import math
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from datamodules.errors import DataError
from datamodules.io.file_checks import check_content, check_tile_size
from datamodules.io.stored_file import StoredFile

# Named, so that no file reaches Pillow's rarer decoders: one of them starts Ghostscript.
FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "AVIF", "JPEG2000")
SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "apng", "gif", "tif", "tiff", "bmp", "dib", "webp"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "heic", "heif", "hif", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
    )
)
#: Suffixes of formats that can hold several images.
MULTI_FRAME_SUFFIXES = frozenset({".gif", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif", ".hif", ".png", ".apng"})

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

_ORIENTATION_TAG = 0x0112
_TIFF_SUBFILE, _TIFF_WIDTH, _TIFF_HEIGHT = 254, 256, 257
# Fractions at which a JPEG may be decoded, and how much larger than the final image it must be then.
_DRAFTS = ((8, 2.0), (4, 1.5), (2, 1.25))
_SMALL_FILE = 1 << 18  # bytes
_REDUCED = 1  # bit of a TIFF's subfile type: a smaller copy of another page

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Header:
    """Size and orientation of an image, from the file's header.

    Args:
        height: rows as stored, before the rotation.
        width: columns as stored.
        orientation: EXIF orientation, 1 to 8; 1 means that the stored image is upright.
    """

    height: int
    width: int
    orientation: int

    @property
    def displayed(self) -> tuple[int, int]:
        """Height and width after the orientation is applied."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def read_header(path: Path) -> Header:
    """Reads size and orientation without decoding the pixels.

    Raises:
        DataError: as ``open_image``.
    """
    with open_image(path) as image:
        return header_of(image)


def count_frames(path: Path) -> int:
    """Number of images in a file: pages of a TIFF without thumbnails, frames of an animation.

    Raises:
        DataError: as ``open_image``.
    """
    with open_image(path) as image:
        if image.format in ("JPEG", "MPO"):  # a second image in a photo is a preview, a depth map or a stereo view
            return 1
        frames = int(getattr(image, "n_frames", 1))
        if frames == 1 or not isinstance(image, TiffImagePlugin.TiffImageFile):
            return frames
        pages = 0
        for number in range(frames):
            image.seek(number)
            pages += not int(image.tag_v2.get(_TIFF_SUBFILE, 0)) & _REDUCED
        return max(1, pages)


def decode_image(path: Path) -> tuple[Image.Image, int, Header]:
    """Decodes a file into a Pillow image of the file's own mode.

    Args:
        path: an image file.

    Returns:
        The decoded image, the EXIF orientation that is still to be applied to its pixels, and its header.

    Raises:
        DataError: as ``open_image``, or if the pixels are damaged.
    """
    with open_image(path) as image:
        orientation, header = orientation_of(image), header_of(image)
        check_content(image)
        image.load()
        return image, orientation, header


def orientation_of(image: Image.Image) -> int:
    """Returns the EXIF orientation (1 to 8) that is to be applied to the pixels once they are decoded."""
    # Pillow applies the orientation while it loads a TIFF, and only then.
    return 1 if isinstance(image, TiffImagePlugin.TiffImageFile) else header_of(image).orientation


def apply_orientation(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Turns stored pixels ``(H, W, ...)`` upright by their EXIF ``orientation`` (1 to 8)."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


@contextmanager
def open_image(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Opens an image whose pixels are not decoded yet.

    Every exception of Pillow, also from decoding inside the ``with`` block, becomes a ``DataError``.

    Raises:
        DataError: if there is no such file, or it cannot be read as an image, or it has more pixels than
            ``pixel_limit()``, about 179 million.
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
            warnings.simplefilter("ignore")  # Pillow warns of oddities in metadata that do not touch the pixels
            with _open_file(path, status.st_size) as file, Image.open(file, formats=_formats(path, file)) as image:
                check_tile_size(image)
                yield image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(path) from error
    except UnidentifiedImageError as error:
        names = ", ".join(FORMATS)
        raise DataError(f"{path}: is not an image that can be read ({names}, HEIC), or its start is damaged") from error
    except OSError as error:
        if error.errno is not None:  # set by the file system, not by Pillow
            raise DataError(f"{path}: cannot be read: {os.strerror(error.errno)}") from error
        raise _damaged(path, error) from error
    except Exception as error:  # damaged files raise struct.error, SyntaxError, KeyError, zlib.error and more
        raise _damaged(path, error) from error


def _open_file(path: Path, length: int) -> io.BytesIO | io.BufferedReader:
    """The file, or all of its content if it is small or no file of its own: Pillow reads a header in forty pieces."""
    if length <= _SMALL_FILE or isinstance(path, StoredFile):
        return io.BytesIO(path.read_bytes())
    return _BoundedFile(path)


def _formats(path: Path, file: io.BytesIO | io.BufferedReader) -> tuple[str, ...]:
    """The formats to try, with HEIC if the file is one and its decoder is installed."""
    start = file.read(12)
    file.seek(0)
    if start[4:8] != b"ftyp" or start[8:12] not in _HEIC_BRANDS:
        return FORMATS
    try:
        import pillow_heif  # takes a tenth of a second, and few need it
    except ImportError as error:
        raise DataError(
            f"{path}: is a HEIC image, which needs the package pillow-heif: pip install pillow-heif, or save it as JPEG"
        ) from error
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


class _BoundedFile(io.BufferedReader):
    """A file whose ``read`` never allocates more than the rest of the file.

    A damaged length in a PNG makes Pillow ask for 4 GB, which Python allocates before it reads.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Reads up to ``size`` bytes, or all that are left."""
        if size is None or size < 0:
            return super().read(size)
        return super().read(min(size, max(0, self._length - self.tell())))


def draft_size(size: tuple[int, int], for_size: int) -> tuple[int, int]:
    """The size at which a JPEG is decoded that will be reduced to ``for_size`` pixels by area means.

    PSNR against the whole image reduced: 43 to 46 dB at 1/2 and 41 to 45 dB at 1/4 for four photos of Carvana, at
    least 37 dB for four paintings with strokes of one pixel.

    >>> draft_size((1918, 1280), 512), draft_size((1918, 1280), 513), draft_size((1024, 1024), 64)
    ((959, 640), (1918, 1280), (128, 128))
    """
    for divisor, larger in _DRAFTS:
        if all(side % divisor == 0 and side // divisor >= larger * for_size for side in size):
            return size[0] // divisor, size[1] // divisor
    return size


def header_of(image: Image.Image) -> Header:
    """Size and orientation of an image that Pillow has opened and not decoded yet."""
    # The base class's method: PNG's own decodes the whole image to look for EXIF behind the pixels.
    orientation = Image.Image.getexif(image).get(_ORIENTATION_TAG, 1)
    if orientation not in range(1, 9):
        orientation = 1  # cameras write 0 for "unknown"
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):  # some releases of Pillow give the displayed size
        width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
    return Header(height=int(height), width=int(width), orientation=int(orientation))


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error) or type(error).__name__
    return DataError(f"{path}: is damaged or cut short ({reason}); copy or download it again, or remove it")


def pixel_limit() -> float:
    """Most pixels of an image: twice ``PIL.Image.MAX_IMAGE_PIXELS``, where Pillow refuses, and above which it warns.

    >>> round(pixel_limit() / 1e6)
    179
    """
    return math.inf if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def too_many_pixels(path: Path) -> DataError:
    """The error for an image of more than ``pixel_limit()`` pixels."""
    return DataError(
        f"{path}: has more pixels than the limit of {pixel_limit() / 1e6:.0f} million; make it smaller first"
    )
