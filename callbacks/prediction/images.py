"""The files that ``predict`` writes for super-resolution and repairs: nothing of the original but its size is lost."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from callbacks.output_file import output_file, save_png
from callbacks.prediction.writer import Source
from datamodules.batches import ImageExtras

Pixels = NDArray[Any]  # uint8 or uint16

_PNG_LEVEL = 4
_HEADER = 8 + 25  # bytes of PNG's signature and of its first chunk
STRIP_SIDE, STRIP_GAP = 480, 8


class ImageFiles:
    """Writes ``result/NAME.png`` and, if wanted, ``strip/NAME.png``.

    The result has the alpha channel, the 16 bits, the color profile and the EXIF of the original, and is gray where
    that was. The strip shows the middle of the image: input enlarged by bicubic interpolation, result and, where it
    is known, the target.

    Args:
        folder: where the folders are made.
        scale: how many times larger results are.
        extras: reads what a file has besides colors.
        target: gives the true image (H, W, 3) of a name, or ``None``; without it there are no strips.
    """

    def __init__(
        self,
        *,
        folder: Path,
        scale: int,
        extras: Callable[[Path], ImageExtras],
        target: Callable[[str], NDArray[np.uint8] | None] | None = None,
    ) -> None:
        self.folder, self.scale, self.extras, self.target = folder, scale, extras, target

    def write(self, prediction: Pixels, image: Source) -> None:
        """Writes the files of one image.

        Args:
            prediction: (3, scale * H, scale * W) RGB, uint8 or uint16.
            image: the image; its pixels must be there if strips are wanted.

        Raises:
            OutputError: if a file could not be written.
        """
        extras = self.extras(Path(image.path))
        pixels: Pixels = np.ascontiguousarray(prediction.transpose(1, 2, 0))
        with output_file(self._path("result", image.name)) as file:
            file.write(encode(pixels, extras))
        if self.target is not None and image.pixels is not None:
            shown = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
            drawn = strip(image.pixels, shown, self.target(image.name), scale=self.scale)
            save_png(self._path("strip", image.name), drawn)

    def paths(self, name: str) -> list[Path]:
        """The files of the image whose results are called ``name``."""
        return [self._path("result", name), *([self._path("strip", name)] if self.target is not None else [])]

    def described(self) -> list[str]:
        """A line for each kind of file."""
        lines = [f"result/  PNG, {self.scale} times as large" if self.scale > 1 else "result/  PNG, mended"]
        shown = f"the middle: {'bicubic' if self.scale > 1 else 'input'}, result, target where there is one"
        return [*lines, *([f"strip/  PNG, {shown}"] if self.target is not None else [])]

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}.png"


def add_extras(pixels: Pixels, extras: ImageExtras) -> Pixels:
    """Makes a result gray if the original is, and adds the original's alpha channel.

    Args:
        pixels: (H, W, 3) RGB.
        extras: of the original; its alpha is resized to (H, W).

    Returns:
        (H, W) or (H, W, 2) if gray, (H, W, 3) or (H, W, 4) if not.
    """
    alpha = None if extras.alpha is None else _enlarged(extras.alpha, pixels)
    if extras.gray:
        pixels = pixels.mean(axis=2, dtype=np.float32).round().astype(pixels.dtype)
    return pixels if alpha is None else np.dstack([pixels, alpha])


def encode(pixels: Pixels, extras: ImageExtras) -> bytes:
    """Encodes a result as PNG, with the extras of the original.

    Args:
        pixels: (H, W, 3) RGB.
        extras: of the original; its alpha is resized to (H, W).

    Returns:
        The bytes of the file.
    """
    channels = add_extras(pixels, extras)
    if channels.dtype == np.uint16 and channels.ndim == 3:  # Pillow has no 16-bit colors
        if channels.shape[2] == 2:
            channels = channels[..., [0, 0, 0, 1]]
        return _encode_deep(channels, extras)
    buffer = BytesIO()
    Image.fromarray(channels).save(
        buffer, "PNG", compress_level=_PNG_LEVEL, icc_profile=extras.icc, exif=extras.exif or b""
    )
    return buffer.getvalue()


def strip(
    image: NDArray[np.uint8], result: NDArray[np.uint8], target: NDArray[np.uint8] | None, *, scale: int
) -> NDArray[np.uint8]:
    """Puts the middle of the enlarged input, the result and the target side by side, pixel for pixel.

    Args:
        image: (H, W, 3) the input.
        result: (scale * H, scale * W, 3).
        target: about the same size, or ``None``.
        scale: how many times larger the result is.

    Returns:
        (h, w, 3), ``h`` at most ``STRIP_SIDE``.
    """
    height, width = result.shape[:2]
    bicubic = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    shown = [bicubic if scale > 1 else image, result, *([target] if target is not None else [])]
    side = min(STRIP_SIDE, *(min(panel.shape[:2]) for panel in shown))
    gap = np.full((side, STRIP_GAP, 3), 255, np.uint8)
    parts = [part for panel in shown for part in (_middle(panel, side), gap)]
    return np.hstack(parts[:-1])


def _middle(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _enlarged(alpha: Pixels, pixels: Pixels) -> Pixels:
    """Alpha at the size and depth of ``pixels``."""
    height, width = pixels.shape[:2]
    large = (
        alpha if alpha.shape == (height, width) else cv2.resize(alpha, (width, height), interpolation=cv2.INTER_CUBIC)
    )
    if large.dtype == pixels.dtype:
        return large
    return (large.astype(np.uint16) * 257) if pixels.dtype == np.uint16 else (large // 257).astype(np.uint8)


def _encode_deep(channels: Pixels, extras: ImageExtras) -> bytes:
    order = [2, 1, 0, 3][: channels.shape[2]]
    done, file = cv2.imencode(".png", np.ascontiguousarray(channels[..., order]))
    if not done:
        raise RuntimeError("OpenCV could not make a PNG of 16-bit colors")
    data = file.tobytes()
    chunks = b""
    if extras.icc:
        chunks += _chunk(b"iCCP", b"profile\0\0" + zlib.compress(extras.icc))
    if extras.exif:
        chunks += _chunk(b"eXIf", extras.exif.removeprefix(b"Exif\0\0"))
    return data[:_HEADER] + chunks + data[_HEADER:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
