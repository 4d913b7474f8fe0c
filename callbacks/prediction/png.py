"""PNG encoding with everything that an original has besides its colors: alpha, 16 bits, color profile, EXIF."""

import struct
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from callbacks.output_file import PNG_LEVEL
from datamodules.batches import ImageExtras

Pixels = NDArray[Any]  # uint8 or uint16

_HEADER = 8 + 25  # bytes of PNG's signature and of its first chunk


def encode_png(pixels: Pixels, extras: ImageExtras) -> bytes:
    """Encodes the colors of a result together with the extras of its original.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        extras: of the original.

    Returns:
        The content of the file.
    """
    channels = add_extras(pixels, extras)
    if channels.dtype == np.uint16 and channels.ndim == 3:  # Pillow has no 16-bit color mode
        if channels.shape[2] == 2:
            channels = channels[..., [0, 0, 0, 1]]
        return _encode_16_bits(channels, extras)
    buffer = BytesIO()
    Image.fromarray(channels).save(
        buffer, "PNG", compress_level=PNG_LEVEL, icc_profile=extras.icc, exif=extras.exif or b""
    )
    return buffer.getvalue()


def add_extras(pixels: Pixels, extras: ImageExtras) -> Pixels:
    """Makes a result gray if its original is gray, and adds the alpha channel of the original.

    Args:
        pixels: (H, W, 3) RGB, uint8 or uint16.
        extras: of the original. Its alpha channel is resized to (H, W).

    Returns:
        (H, W) or (H, W, 2) if gray, otherwise (H, W, 3) or (H, W, 4).
    """
    alpha = None if extras.alpha is None else _resize_alpha(extras.alpha, pixels)
    if extras.gray:
        pixels = pixels.mean(axis=2, dtype=np.float32).round().astype(pixels.dtype)
    return pixels if alpha is None else np.dstack([pixels, alpha])


def _resize_alpha(alpha: Pixels, pixels: Pixels) -> Pixels:
    """Resizes an alpha channel to the size of ``pixels`` and converts it to their bit depth."""
    height, width = pixels.shape[:2]
    if alpha.shape != (height, width):
        alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    if alpha.dtype == pixels.dtype:
        return alpha
    return (alpha.astype(np.uint16) * 257) if pixels.dtype == np.uint16 else (alpha // 257).astype(np.uint8)


def _encode_16_bits(channels: Pixels, extras: ImageExtras) -> bytes:
    order = [2, 1, 0, 3][: channels.shape[2]]
    done, file = cv2.imencode(".png", np.ascontiguousarray(channels[..., order]))
    if not done:
        raise RuntimeError("OpenCV could not encode a 16-bit PNG")
    data = file.tobytes()
    chunks = b""
    if extras.icc:
        chunks += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(extras.icc))
    if extras.exif:
        chunks += _chunk(b"eXIf", extras.exif.removeprefix(b"Exif\0\0"))
    return data[:_HEADER] + chunks + data[_HEADER:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
