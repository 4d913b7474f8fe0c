"""Images in a folder: found at any depth, looked at once, remembered as sound."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.cache.check_results import read_json, stamp_of_files, write_json
from datamodules.cache.encodings import ProportionalKind
from datamodules.errors import DataError
from datamodules.index.pairs import list_images
from datamodules.index.problems import OnBad, Problem, raise_or_skip
from datamodules.io.image import image_size, read_image
from datamodules.io.image_file import SUFFIXES
from datamodules.loading.parallel import map_files

_COLORLESS = 2  # gray levels between the channels, in the mean; JPEG makes less of a gray image
_SMALL = 64  # JPEGs are decoded at a fraction, ten times faster: the whole file is read in any case
_NAMED = 5  # files that are left out, spelt out
_ABOUT = "images, and those that cannot be read"
ADVICE = "Correct or remove these files, then run again; nothing was trained."


#: Height and width as displayed, and 1 for gray, 0 for colored; or what is wrong with the file.
Look = tuple[int, int, int] | str


@dataclass(frozen=True)
class ImageFile:
    """One image.

    Args:
        name: path below the data's root, with ``/``: what messages and tables show, and what splits go by.
        path: the file.
        kind: its size, and with it the way it is copied into the cache.
        gray: whether it has no colors, by its pixels: a gray image may be stored as RGB.
    """

    name: str
    path: Path
    kind: ProportionalKind
    gray: bool

    def shorter(self, side: int) -> int:
        """Its shorter side in pixels, once it is stored with ``side`` at most."""
        return min(self.kind.shape(side)[:2])


def find_images(root: Path) -> list[Path]:
    """Finds every image below ``root``, sorted.

    Raises:
        DataError: if there is none.
    """
    paths = list_images(root)
    if not paths:
        raise DataError(f"{root} holds no images ({', '.join(sorted(SUFFIXES))}): name a folder of images")
    return paths


def look_at_images(
    root: Path, paths: Sequence[Path], *, stamps: Path, on_bad: OnBad = "error", workers: int
) -> tuple[list[ImageFile], list[str]]:
    """Decodes every image once, unless an earlier check is remembered.

    Args:
        root: the data's root, for names.
        paths: the images.
        stamps: folder in which checks are remembered.
        on_bad: whether files that cannot be used, one in a hundred at most, are left out.
        workers: processes that share the work.

    Returns:
        The images in their order, and a line for every file that is left out.

    Raises:
        DataError: naming those that cannot be read.
    """
    stamp = stamp_of_files(stamps, paths, about=_ABOUT)
    names = [path.relative_to(root).as_posix() for path in paths]
    looks = _looks(read_json(stamp), names)
    if looks is None or (on_bad == "error" and any(isinstance(look, str) for look in looks.values())):
        looks = check_images(root, paths, on_bad=on_bad, workers=workers)
        write_json(stamp, looks)
    found = [(name, path, looks[name]) for name, path in zip(names, paths, strict=True)]
    images = [
        ImageFile(name, path, ProportionalKind(*look[:2]), bool(look[2]))
        for name, path, look in found
        if not isinstance(look, str)
    ]
    return images, [look for look in looks.values() if isinstance(look, str)]


def check_images(root: Path, paths: Sequence[Path], *, on_bad: OnBad = "error", workers: int) -> dict[str, Look]:
    """Decodes every image, in parallel.

    Returns:
        What was seen, or is wrong, by name.

    Raises:
        DataError: naming the first twenty that cannot be read and counting all.
    """
    outcomes = map_files(_look, paths, workers=workers, title="checking images")
    problems: list[Problem] = []
    looks: dict[str, Look] = {}
    for path, outcome in zip(paths, outcomes, strict=True):
        name = path.relative_to(root).as_posix()
        if isinstance(outcome, DataError):
            problem = Problem("file that cannot be read", name, str(outcome).removeprefix(f"{path}: "), True)
            problems.append(problem)
            looks[name] = str(problem)
        else:
            looks[name] = outcome
    raise_or_skip(root, problems, ADVICE, on_bad=on_bad, total=len(paths))
    return looks


def left_out(root: Path) -> list[str]:
    """Names the files below ``root`` that are no images by their suffix: videos, PDFs, lists. Sorted, not hidden."""
    found: list[str] = []
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in files if not name.startswith("."))
        found += [path.relative_to(root).as_posix() for path in paths if path.suffix.lower() not in SUFFIXES]
    return sorted(found)


def left_out_line(names: Sequence[str]) -> str:
    """Says in one line which files were left out."""
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"  left out, no images by their names: {len(names)} ({shown})"


def _look(path: Path) -> tuple[int, int, int]:
    pixels = read_image(path, min_side=_SMALL).astype(np.int16)
    gray = float((pixels.max(2) - pixels.min(2)).mean()) < _COLORLESS
    return (*image_size(path), int(gray))


def _looks(stored: object, names: Sequence[str]) -> Mapping[str, Look] | None:
    """What a stamp says, or ``None`` where it does not say it of exactly these names."""
    if not isinstance(stored, dict) or stored.keys() != set(names):
        return None
    looks: dict[str, Look] = {}
    for name, look in stored.items():
        if isinstance(look, list) and len(look) == 3 and all(isinstance(number, int) for number in look):
            looks[name] = (look[0], look[1], look[2])
        elif isinstance(look, str):
            looks[name] = look
        else:
            return None
    return looks
