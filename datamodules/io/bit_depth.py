"""How many bits the values of 16-bit images use, and how they are scaled to the full range.

Cameras, microscopes and X-ray detectors measure 10, 12 or 14 bits and write them into files of 16 bits, unscaled. Read
by the range of the file, such images are nearly black: the largest value of 12 bits is 4095 of 65535.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError

Bits = int | Literal["auto"]

#: Bits of the files, whose full range is 0 to 65535.
FULL_BITS = 16
_FEWEST = 8
_MEASURED = (8, 10, 12, 14, 16)  # resolutions of the sensors in use


def check_bits(bits: Bits) -> Bits:
    """Returns ``bits`` if it is ``"auto"`` or a number from 8 to 16.

    Raises:
        ValueError: if it is anything else.
    """
    if bits != "auto" and not _FEWEST <= bits <= FULL_BITS:
        raise ValueError(f"bits must be 'auto' or from {_FEWEST} to {FULL_BITS}, not {bits}")
    return bits


def recorded_bits(record: Mapping[str, Any]) -> int:
    """The bits that were measured for a checkpoint, by its record; otherwise those of its settings.

    Raises:
        DataError: if they are no number of bits.
    """
    bits = record.get("bits", record["data"].get("init_args", {}).get("bits", FULL_BITS))
    try:
        return FULL_BITS if bits == "auto" else int(check_bits(bits))
    except (TypeError, ValueError) as error:
        raise DataError(f"the checkpoint's record is not used: {error}") from error


def measure_bits(largest: Iterable[int | None]) -> int | None:
    """The smallest of 8, 10, 12, 14 and 16 bits that holds the values of all 16-bit images of a set.

    >>> measure_bits([None, 900, 3760]), measure_bits([4095, 4096]), measure_bits([None])
    (12, 14, None)

    Args:
        largest: largest stored value of each image; ``None`` for images of 8 bits.

    Returns:
        The number of bits; ``None`` if the set has no 16-bit images.
    """
    found = [value for value in largest if value is not None]
    if not found:
        return None
    return next(bits for bits in _MEASURED if max(found) < 2**bits)


def to_8_bits(values: NDArray[np.uint16], bits: int, path: Path | str) -> NDArray[np.uint8]:
    """Scales values from 0 to ``2**bits - 1`` to 0 to 255, rounded.

    >>> to_8_bits(np.array([0, 2048, 4095], np.uint16), 12, "x-ray.png").tolist()
    [0, 128, 255]

    Raises:
        DataError: naming ``path``, if a value needs more bits.
    """
    return _scale(values, bits, 255, path).astype(np.uint8)


def to_16_bits(values: NDArray[np.uint16], bits: int, path: Path | str) -> NDArray[np.uint16]:
    """Scales values from 0 to ``2**bits - 1`` to 0 to 65535, rounded.

    >>> to_16_bits(np.array([0, 2048, 4095], np.uint16), 12, "x-ray.png").tolist()
    [0, 32776, 65535]

    Raises:
        DataError: naming ``path``, if a value needs more bits.
    """
    return _scale(values, bits, 2**FULL_BITS - 1, path).astype(np.uint16)


def _scale(values: NDArray[np.uint16], bits: int, white: int, path: Path | str) -> NDArray[np.uint32]:
    top, largest = 2**bits - 1, int(values.max())
    if largest > top:
        raise DataError(
            f"{path}: holds values up to {largest}, and {bits} bits end at {top}: set --data.bits to the bits that all "
            f"images use, at least {largest.bit_length()} for this one"
        )
    scaled: NDArray[np.uint32] = (values.astype(np.uint32) * white + top // 2) // top
    return scaled


def depth_notes(largest: Iterable[int | None], bits: int) -> list[str]:
    """A line for the summary if 16-bit images are scaled by fewer bits, or should be since they are nearly black.

    Args:
        largest: largest stored value of each image; ``None`` for images of 8 bits.
        bits: bits by which they are read.
    """
    found = [value for value in largest if value is not None]
    top = max(found, default=0)
    values = f"the {len(found)} 16-bit images hold values up to {top}"
    if found and bits < FULL_BITS:
        return [f"  bits: {values} and are read as {bits} bits: {2**bits - 1} is white"]
    if not 0 < top < 2 ** (FULL_BITS - 1):
        return []
    return [
        f"  DARK IMAGES: {values} of 65535 ({top.bit_length()} bits), so the network gets at most "
        f"{round(top * 255 / 65535)} of 255; read them by the bits that they use: --data.bits auto"
    ]
