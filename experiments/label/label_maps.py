"""Label maps on disk: indexed PNG files that hold class numbers, and masks that other programs wrote.

A label map is ``(H, W)`` uint8: 0 background, 1 to C the classes, ``UNKNOWN`` pixels that nobody has labeled. Losses
and metrics do not count unknown pixels.
"""

import colorsys
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from datamodules.errors import DataError
from datamodules.io.atomic_file import atomic_file
from datamodules.segmentation.mask_io import read_mask_values

LabelMap = NDArray[np.uint8]
Color = tuple[int, int, int]

UNKNOWN = 255
MAX_CLASSES = 99

#: Okabe and Ito 2008, "Color Universal Design", without black: distinguishable with all kinds of color blindness.
COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_GRAY: Color = (128, 128, 128)
#: PNG keyword that marks files of this module. Others may store the foreground as 255, which is unknown here.
_MARK = "darkroom"


def class_colors(classes: int) -> list[Color]:
    """Returns distinct colors of the classes 1 to ``classes``: those of Okabe and Ito, then evenly spaced hues."""
    rest = max(0, classes - len(COLORS))
    hues = [colorsys.hsv_to_rgb((number + 0.5) / rest, 0.55, 0.85) for number in range(rest)]
    return [*COLORS[:classes], *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues)]


def encode_label_map(labels: LabelMap, classes: int) -> bytes:
    """Encodes a label map as indexed PNG: black background, the classes in their colors, gray unknown pixels."""
    palette = np.zeros((256, 3), np.uint8)
    palette[1 : classes + 1] = class_colors(classes)
    palette[UNKNOWN] = _GRAY
    image = Image.fromarray(labels)
    image.putpalette(palette.tobytes())
    text = PngImagePlugin.PngInfo()
    text.add_text(_MARK, "label")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=text, compress_level=1)
    return buffer.getvalue()


def write_label_map(path: Path, labels: LabelMap, classes: int) -> None:
    """Writes a label map beside ``path`` and renames it.

    Raises:
        OSError: if it cannot be written; an existing file is unchanged then.
    """
    with atomic_file(path) as file:
        file.write(encode_label_map(labels, classes))


def is_own(path: Path) -> bool:
    """Whether a file was written by ``write_label_map``."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.info.get(_MARK) == "label"
    except (OSError, ValueError, SyntaxError):
        return False


def read_label_map(path: Path, *, size: tuple[int, int], classes: int) -> LabelMap:
    """Reads a label map, or a mask of another program.

    Another program's mask of one class may hold 0 and 1, 0 and 255, or 0 and 65535; with 1 and 255 both, 255 is
    unknown. A mask of several classes holds class numbers, and 255 is unknown.

    Args:
        path: the file.
        size: height and width of the image.
        classes: number of classes besides the background.

    Raises:
        DataError: if it cannot be read, has another size, or holds other values.
    """
    values = read_mask_values(path)
    if values.shape != size:
        height, width = values.shape
        raise DataError(f"{path}: is {width} x {height}, the image is {size[1]} x {size[0]}; move the mask away")
    found = {int(value) for value in np.unique(values)}
    if classes == 1 and not is_own(path) and 1 not in found and found & {255, 65535}:
        labels = (values == max(found)).astype(np.uint8)
        found = {0 if value == 0 else 1 if value == max(found) else value for value in found}
    else:
        labels = values.astype(np.uint8)
    wrong = sorted(found - {*range(classes + 1), UNKNOWN})
    if wrong:
        raise DataError(
            f"{path}: holds the values {', '.join(map(str, wrong[:8]))}, which are no classes (0 to {classes}, "
            f"{UNKNOWN} unknown); move the mask away, or name the classes with --classes"
        )
    return np.asarray(labels, dtype=np.uint8)
