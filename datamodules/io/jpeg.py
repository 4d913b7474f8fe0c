"""Decodes plain JPEG files by simplejpeg, which takes a fraction of Pillow's time for the same pixels."""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

# There are wheels for the usual platforms. On others Pillow decodes everything.
_INSTALLED = find_spec("simplejpeg") is not None


def decode_jpeg(image: ImageFile.ImageFile, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """Decodes the pixels of an opened JPEG.

    Both libraries use libjpeg-turbo with the same settings. simplejpeg refuses every file that libjpeg warns of; Pillow
    accepts some of them. So Pillow decides on damaged files, and its errors are the only ones.

    Args:
        image: of Pillow, not decoded yet.
        size: width and height to decode at: the whole size, or 1/2, 1/4 or 1/8 of both sides.

    Returns:
        ``(H, W, 3)`` RGB, not turned by its EXIF orientation; ``None`` if Pillow is to decode the file: it is no JPEG
        of gray or RGB pixels, or is damaged.
    """
    if not _INSTALLED or image.format != "JPEG" or image.mode not in ("L", "RGB") or image.fp is None:
        return None
    import simplejpeg

    image.fp.seek(0)
    width, height = size
    try:
        pixels = simplejpeg.decode_jpeg(image.fp.read(), "RGB", min_height=height, min_width=width, strict=True)
    except ValueError:
        return None
    return np.asarray(pixels, np.uint8) if pixels.shape == (height, width, 3) else None
