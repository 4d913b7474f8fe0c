"""Reads images with any number of channels and up to 16 bits: TIFFs of several bands, and one file for each band."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.image_file import pixel_limit, too_many_pixels
from datamodules.io.native_depth import read_native_depth

_TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
_MAX_CHANNELS = 256
_TOP = 65535


@dataclass(frozen=True)
class BandLayout:
    """Where the channels of an image are stored.

    Args:
        channels: number of channels.
        bands: names of the bands, whose files are called ``NAME_BAND.tif``; empty if one file holds all channels.
    """

    channels: int
    bands: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """What follows the image's name in the stem of its first file; the file of this band stands for the image."""
        return f"_{self.bands[0]}" if self.bands else ""

    def files(self, first: Path) -> tuple[Path, ...]:
        """The files of an image in the order of its channels, given the first of them."""
        stem = first.stem.removesuffix(self.suffix)
        return tuple(first.with_name(f"{stem}_{band}{first.suffix}") for band in self.bands) or (first,)

    def read(self, first: Path) -> NDArray[np.uint16]:
        """Reads all channels of an image.

        8-bit values are multiplied by 257 and floating-point values in [0, 1] by 65535, so that white is 65535.

        Args:
            first: the file, or that of the first band.

        Returns:
            ``(H, W, channels)``.

        Raises:
            DataError: if a file is missing or cannot be read, or has another size or number of channels.
        """
        parts = [_read(path) for path in self.files(first)]
        for path, part in zip(self.files(first), parts, strict=True):
            expected = 1 if self.bands else self.channels
            if part.shape[2] != expected:
                raise DataError(
                    f"{path}: has {_count(part.shape[2])}, not {expected}"
                    + (" as the file of one band" if self.bands else " (data.channels)")
                )
            if part.shape != parts[0].shape:
                sizes = [f"{p.shape[1]} x {p.shape[0]}" for p in (part, parts[0])]
                raise DataError(f"{path}: is {sizes[0]}, the first band is {sizes[1]} pixels: resample it")
        return np.ascontiguousarray(np.concatenate(parts, axis=2))


def _read(path: Path) -> NDArray[np.uint16]:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    if path.suffix.lower() in _TIFF_SUFFIXES:
        return _to_16_bits(_read_tiff(path), path)
    pixels = read_native_depth(path)
    gray = bool((pixels[..., :1] == pixels).all())
    return _to_16_bits(pixels[..., :1] if gray else pixels, path)


def _read_tiff(path: Path) -> NDArray[Any]:
    """Reads ``(H, W, C)`` as stored: channels beside each other, one after the other, or as pages."""
    import tifffile  # takes a tenth of a second, and few need it

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs what the errors below report
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            axes, shape = series.axes, series.shape
            others = [axis for axis, side in zip(axes, shape, strict=True) if axis not in "YX" and side > 1]
            if "Y" not in axes or "X" not in axes or len(others) > 1:
                raise DataError(f"{path}: has the axes {axes} of shape {shape}; an image has rows, columns, channels")
            pixels = shape[axes.index("Y")] * shape[axes.index("X")]
            if pixels > pixel_limit():
                raise too_many_pixels(path)
            if math.prod(shape) > pixels * _MAX_CHANNELS:
                raise DataError(f"{path}: has more than {_MAX_CHANNELS} channels")
            stored = np.asarray(series.asarray()).reshape(shape)
    except DataError:
        raise
    except Exception as error:  # damaged files raise all kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        way = "pip install imagecodecs, or save it without compression" if "imagecodecs" in reason else "copy it again"
        raise DataError(f"{path}: cannot be read as TIFF ({reason}): {way}") from error
    kept = [axis for axis, side in zip(axes, shape, strict=True) if axis in "YX" or side > 1]
    stored = stored.reshape([side for axis, side in zip(axes, shape, strict=True) if axis in kept])
    if others:
        return stored.transpose([kept.index("Y"), kept.index("X"), kept.index(others[0])])
    return stored.transpose([kept.index("Y"), kept.index("X")])[..., None]


def _to_16_bits(pixels: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(257)
    if pixels.dtype == np.uint16:
        return pixels.astype(np.uint16)
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:  # false for NaN
        return np.rint(pixels * float(_TOP)).astype(np.uint16)
    raise DataError(
        f"{path}: holds values of {pixels.dtype} from {low:g} to {high:g}; save it as 8- or 16-bit unsigned integers, "
        "or as floating-point values from 0 to 1"
    )


def to_rgb(image: NDArray[np.uint16], channels: tuple[int, ...]) -> NDArray[np.uint8]:
    """Three channels as 8-bit colors, each stretched from its 2nd to its 98th percentile.

    Args:
        image: ``(H, W, C)``.
        channels: indices of the channels shown as red, green and blue.

    Returns:
        ``(H, W, 3)``.
    """
    chosen = image[..., list(channels)].astype(np.float32)
    low, high = np.percentile(chosen, (2, 98), axis=(0, 1))
    return np.asarray(np.clip((chosen - low) / np.maximum(high - low, 1), 0, 1) * 255 + 0.5, dtype=np.uint8)


def _count(channels: int) -> str:
    return "1 channel" if channels == 1 else f"{channels} channels"
