"""Reads and writes lists of colors with the names of their classes."""

import re
from collections.abc import Mapping
from pathlib import Path

from datamodules.annotations.documents import read_json, read_text
from datamodules.annotations.palettes import Color, Palette
from datamodules.errors import DataError

#: Names, in lower case, whose pixels are ignored.
IGNORED_NAMES = frozenset({"void", "ignore", "ignored", "unlabelled", "unlabeled", "__ignore__", "_ignore_"})

_COLOR = r"(?P<red>\d{1,3})[\s,;]+(?P<green>\d{1,3})[\s,;]+(?P<blue>\d{1,3})"
_COLOR_FIRST = re.compile(rf"{_COLOR}[\s,;]+(?P<name>\S.*)")
_NAME_FIRST = re.compile(rf"(?P<name>\S.*?)[\s,;:]+{_COLOR}(?::.*)?")


def read_palette(path: Path) -> Palette:
    """Reads a list of colors.

    Each line holds a name and three numbers from 0 to 255, in one of the usual orders: ``name,r,g,b`` (CSV with or
    without a header), ``r g b name`` (CamVid's ``label_colors.txt``), or ``name:r,g,b::`` (CVAT's ``labelmap.txt``).
    A JSON file maps names to ``[r, g, b]``. Pixels of classes called void, ignore or unlabelled are ignored.

    Raises:
        DataError: naming the line that is none of these.
    """
    named = _json_colors(path) if path.suffix.lower() == ".json" else _text_colors(path)
    if not named:
        raise DataError(f"{path}: holds no color: write lines such as 'sky,128,128,128'")
    colors = {name: color for name, color in named.items() if name.lower() not in IGNORED_NAMES}
    ignore = frozenset(color for name, color in named.items() if name.lower() in IGNORED_NAMES)
    return Palette(name=path.name, colors=colors, ignore=ignore)


def palette_text(colors: Mapping[str, Color]) -> str:
    """The text of a palette file."""
    head = (
        "# red green blue name; rename the classes and import again with --palette FILE; 'ignore' leaves pixels out\n"
    )
    return head + "".join(f"{red} {green} {blue} {name}\n" for name, (red, green, blue) in colors.items())


def _text_colors(path: Path) -> dict[str, Color]:
    colors: dict[str, Color] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _COLOR_FIRST.fullmatch(text) or _NAME_FIRST.fullmatch(text)
        if match is None:
            if not colors and not any(letter.isdigit() for letter in text):
                continue  # the header of a CSV file
            raise DataError(f"{path}: line {number} is no name with three numbers from 0 to 255: {text!r:.60}")
        values = [int(match[channel]) for channel in ("red", "green", "blue")]
        _add(colors, match["name"].strip(), values, f"{path}: line {number}")
    return colors


def _json_colors(path: Path) -> dict[str, Color]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: must map names to [r, g, b]")
    colors: dict[str, Color] = {}
    for name, values in content.items():
        if not isinstance(values, list) or len(values) != 3 or not all(type(value) is int for value in values):
            raise DataError(f"{path}: the color of '{name}' must be [r, g, b], not {values!r:.60}")
        _add(colors, name, values, str(path))
    return colors


def _add(colors: dict[str, Color], name: str, values: list[int], place: str) -> None:
    red, green, blue = values
    if not all(0 <= value <= 255 for value in values):
        raise DataError(f"{place}: the color of '{name}' must lie between 0 and 255, not {values}")
    if name in colors:
        raise DataError(f"{place}: names '{name}' a second time")
    colors[name] = (red, green, blue)
