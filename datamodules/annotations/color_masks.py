"""Masks that store a color per class, as Pascal VOC and many other data sets do."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.annotations.palettes import PALETTES, Color, Palette
from datamodules.errors import DataError
from datamodules.index.splits import Split
from datamodules.io.image_file import apply_orientation, decode_image

#: Classes of a data set at most; more colors come from lossy compression or soft edges.
MAX_COLORS = 250
IGNORE, _UNKNOWN = 255, 254

Packed = NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class ColorMask:
    """An image and its mask.

    Args:
        name: path of the image below its split.
        image: the image file.
        mask: the mask file.
        split: the split that the source puts it into.
    """

    name: str
    image: Path
    mask: Path
    split: Split | None = None


@dataclass(frozen=True)
class ColorTable:
    """Class numbers of colors, or of numbers in masks without colors.

    Args:
        numbers: class number by packed color; 255 is ignored.
        grays: the same by gray value, for masks that hold numbers.
    """

    numbers: tuple[tuple[int, int], ...]
    grays: tuple[tuple[int, int], ...]

    def apply(self, path: Path) -> tuple[NDArray[np.uint8], Counter[str]]:
        """Reads a mask as class numbers ``(H, W)``.

        Returns:
            The class numbers, 255 where the color is unknown, and the pixels of each unknown color.

        Raises:
            DataError: if the file cannot be read.
        """
        values, are_colors = read_colors(path)
        table = _lookup(self.numbers if are_colors else self.grays)
        mapped = np.full(values.shape, _UNKNOWN, np.uint8)
        inside = values < len(table)
        mapped[inside] = table[values[inside]]
        missing = mapped == _UNKNOWN
        unknown: Counter[str] = Counter()
        if missing.any():
            found, counts = np.unique(values[missing], return_counts=True)
            for value, count in zip(found.tolist(), counts.tolist(), strict=True):
                unknown[str(unpack(value)) if are_colors else f"number {value}"] = count
            mapped[missing] = IGNORE
        return mapped, unknown


def read_colors(path: Path) -> tuple[Packed, bool]:
    """Reads a mask's colors, packed as ``red << 16 | green << 8 | blue``, or its numbers if it has no colors.

    A gray file, or one whose palette is gray, holds numbers. Transparency is left out.

    Raises:
        DataError: if the file cannot be read.
    """
    image, orientation, _ = decode_image(path)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;16"):
        values: Packed = np.asarray(image).astype(np.uint32)
        return apply_orientation(values, orientation), False
    if image.mode in ("P", "PA") and _is_gray(image):
        return apply_orientation(np.asarray(image.convert("RGB"))[:, :, 0].astype(np.uint32), orientation), False
    pixels = np.asarray(image.convert("RGBA") if image.mode in ("RGBA", "PA") else image.convert("RGB"))
    red, green, blue = (pixels[:, :, channel].astype(np.uint32) for channel in range(3))
    packed: Packed = (red << 16 | green << 8 | blue).astype(np.uint32)
    return apply_orientation(packed, orientation), True


def count_colors(item: ColorMask) -> tuple[dict[int, int], bool]:
    """Counts the pixels of each packed color, or number, of a mask; and whether they are colors.

    Raises:
        DataError: if the file cannot be read, or has more colors than a mask can have.
    """
    values, are_colors = read_colors(item.mask)
    found, counts = np.unique(values, return_counts=True)
    if len(found) > MAX_COLORS:
        raise DataError(
            f"{item.mask}: has {len(found)} colors, more than {MAX_COLORS}: it is no mask, or was saved with lossy "
            "compression or soft edges"
        )
    return dict(zip(found.tolist(), counts.tolist(), strict=True)), are_colors


def choose_palette(colors: Mapping[int, int]) -> tuple[Palette, str]:
    """Finds the well-known palette that has all colors of a data set, or names the colors by their hexadecimal codes.

    Args:
        colors: pixels by packed color.

    Returns:
        The palette, and why it was chosen.
    """
    found = {unpack(color) for color in colors}
    fitting = [one for one in PALETTES.values() if found <= {*one.colors.values(), *one.ignore}]
    if len(fitting) == 1 and len(found) > 2:
        return fitting[0], f"all colors are those of the palette {fitting[0].name}"
    named = {f"color-{color:06x}": unpack(color) for color in sorted(colors)}
    if len(fitting) > 1:
        names = ", ".join(palette.name for palette in fitting)
        return Palette(name="discovered", colors=named), f"the colors occur in several palettes ({names})"
    return Palette(name="discovered", colors=named), "no known palette has these colors"


def color_table(palette: Palette, classes: Mapping[str, int]) -> ColorTable:
    """Makes the table from colors to the class numbers of chosen classes; colors of the others are ignored.

    Args:
        palette: the palette.
        classes: class number by name.
    """
    numbers: dict[int, int] = {pack(color): IGNORE for color in palette.ignore}
    grays: dict[int, int] = dict.fromkeys(palette.ignored_numbers, IGNORE)
    for place, (name, color) in enumerate(palette.colors.items()):
        number = classes.get(name, IGNORE)
        numbers.setdefault(pack(color), number)  # of two classes of one color, the first
        grays[place + palette.first] = number
    return ColorTable(tuple(numbers.items()), tuple(grays.items()))


def pack(color: Color) -> int:
    """A color as one number."""
    return color[0] << 16 | color[1] << 8 | color[2]


def unpack(number: int) -> Color:
    """A color from ``pack``.

    >>> unpack(pack((1, 2, 3)))
    (1, 2, 3)
    """
    return number >> 16, number >> 8 & 255, number & 255


@cache
def _lookup(rows: tuple[tuple[int, int], ...]) -> NDArray[np.uint8]:
    table = np.full(max((key for key, _ in rows), default=0) + 1, _UNKNOWN, np.uint8)  # 16 MB at most
    for key, number in rows:
        table[key] = number
    return table


def _is_gray(image: Image.Image) -> bool:
    flat = image.getpalette("RGB") or []
    return flat[::3] == flat[1::3] == flat[2::3]
