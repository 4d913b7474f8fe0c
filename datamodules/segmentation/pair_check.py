"""Checks one image and its mask."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.pairs import Pair, name_below
from datamodules.index.problems import Problem
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.deep_image import largest_deep_value
from datamodules.io.image import read_image_and_header
from datamodules.io.image_file import MULTI_FRAME_SUFFIXES, Header, count_frames
from datamodules.segmentation.label_map import count_values
from datamodules.segmentation.mask_io import Color, DrawnOn, drawn_on, read_stored_mask

_SMALL = 32  # JPEGs are decoded at a fraction, ten times faster; the whole file is read all the same


@dataclass(frozen=True, kw_only=True)
class PairCheck:
    """The content of an image and its mask. For a file that cannot be read, only ``problems`` is set.

    Args:
        height: of the displayed image, in pixels.
        width: of the displayed image, in pixels.
        orientation: EXIF orientation of the image.
        drawn_on: which way up the mask was drawn, if the image is stored rotated.
        values: pixels of the mask by stored value.
        colors: palette color by value, for the values that occur; empty without a palette.
        frames: number of pages or frames of the image.
        largest: largest stored value of a 16-bit image; ``None`` for other images.
        problems: why the pair cannot be used.
    """

    height: int = 0
    width: int = 0
    orientation: int = 1
    drawn_on: DrawnOn = "same"
    values: Mapping[int, int]
    colors: Mapping[int, Color]
    frames: int = 1
    largest: int | None = None
    problems: tuple[Problem, ...]


def plain_check(check: PairCheck) -> dict[str, Any]:
    """A check without problems as values for JSON."""
    return asdict(check) | {"problems": []}


def load_check(stored: Any) -> PairCheck | None:
    """A check without problems from its JSON; ``None`` if it is damaged."""
    try:
        return PairCheck(
            height=int(stored["height"]),
            width=int(stored["width"]),
            orientation=int(stored["orientation"]),
            drawn_on=stored["drawn_on"],
            values={int(value): int(pixels) for value, pixels in stored["values"].items()},
            colors={int(value): (red, green, blue) for value, (red, green, blue) in stored["colors"].items()},
            frames=int(stored["frames"]),
            largest=stored["largest"],
            problems=(),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_pair(root: Path, layout: BandLayout | None, pair: Pair, *, bits: int = FULL_BITS) -> PairCheck:
    """Decodes an image and its mask, and compares their sizes.

    Args:
        root: the data's root, for names.
        layout: channels of the images; ``None`` for RGB images.
        pair: the files.
        bits: bits that a 16-bit RGB image may use.
    """
    problems: list[Problem] = []
    header, largest, frames = None, None, 1
    values: Mapping[int, int] = {}
    colors: Mapping[int, Color] = {}
    drawn: DrawnOn = "same"
    try:
        if layout is None:
            _, header = read_image_and_header(pair.image, for_size=_SMALL, bits=bits)
            largest, frames = largest_deep_value(pair.image), _frames(pair.image)
        else:
            pixels = layout.read(pair.image)
            header = Header(height=pixels.shape[0], width=pixels.shape[1], orientation=1)
    except DataError as error:
        problems += [_unreadable(root, pair.image, error)]
    try:
        pages = _frames(pair.mask)
        if pages > 1:
            detail = f"{pages} pages or frames; save the mask as one page, or the pages as masks of their own"
            problems.append(Problem("mask of several pages", name_below(root, pair.mask), detail, True))
        mask, palette, mask_header = read_stored_mask(pair.mask)
        values = count_values(mask)
        colors = {value: palette[value] for value in values if value < len(palette)}
        if header is not None:
            drawn = drawn_on(header, mask_header)
            problems += _compare_sizes(root, pair, header, drawn, mask.shape)
    except DataError as error:
        problems.append(_unreadable(root, pair.mask, error))
    height, width = header.displayed if header else (0, 0)
    return PairCheck(
        height=height,
        width=width,
        orientation=header.orientation if header else 1,
        drawn_on=drawn,
        values=values,
        colors=colors,
        frames=frames,
        largest=largest,
        problems=tuple(problems),
    )


def _compare_sizes(root: Path, pair: Pair, image: Header, drawn: DrawnOn, mask: tuple[int, ...]) -> list[Problem]:
    size = (image.height, image.width) if drawn == "stored" else image.displayed
    if mask == size:
        return []
    detail = f"{mask[1]} x {mask[0]}, the image is {image.displayed[1]} x {image.displayed[0]}"
    return [Problem("mask of another size", name_below(root, pair.mask), detail, True)]


def _frames(path: Path) -> int:
    return count_frames(path) if path.suffix.lower() in MULTI_FRAME_SUFFIXES else 1


def _unreadable(root: Path, path: Path, error: DataError) -> Problem:
    return Problem("file that cannot be read", name_below(root, path), str(error).removeprefix(f"{path}: "), True)
