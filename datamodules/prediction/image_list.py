"""What a user calls "these images" (files, folders, patterns, lists) to one list, each with a name of its own."""

import glob
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from datamodules.errors import DataError
from datamodules.io.image_file import SUFFIXES

LIST_SUFFIX = ".txt"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One image to work on.

    Args:
        path: where it lies.
        name: what its results are called, relative, with ``/`` and without a suffix; no two are the same.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class _Found:
    path: Path
    base: Path  # the folder that the user meant; the image keeps its place below it


def list_images(
    words: Sequence[str], *, leave_out: Path | None = None, suffixes: Collection[str] = SUFFIXES
) -> list[Listed]:
    """Finds every image that the words stand for, each once, in the order of the words.

    A word is a file, a folder (searched through, all below it), a pattern with ``*``, ``?`` or ``[]`` (``**`` for any
    depth), or a list: ``@FILE`` or a ``.txt`` file with one word a line (``#`` starts a remark). Paths in a list count
    from the working folder and, where nothing lies there, from the list's own. In folders and patterns only files with
    one of ``suffixes`` count, and hidden ones do not.

    Names keep an image's place below the folder it was found in; where two would be the same, below the folder that
    all of them share; and images that differ in nothing but the suffix are numbered ``-2``, ``-3``.

    Args:
        words: as typed.
        leave_out: a folder whose contents do not count, so that results are not taken for images.
        suffixes: of the files that count in folders and patterns, in small letters.

    Raises:
        DataError: if a word stands for nothing, or nothing at all was found. An entry of a list that is not there is
            no such error: it is listed like a file that cannot be read.
    """
    found: dict[Path, _Found] = {}
    for word in words:
        for item in _expand(word, suffixes=suffixes):
            place = _absolute(item.path)
            if leave_out is None or not place.is_relative_to(_absolute(leave_out)):
                found.setdefault(place, item)
    if not found:
        raise DataError("no image to work on: name files, folders, patterns or a list of them (@list.txt)")
    places = list(found)
    names = [_below(place, item.base) for place, item in found.items()]
    if _clash(places, names):
        shared = Path(os.path.commonpath([place.parent for place in places]))
        names = [_below(place, shared) for place in places]
    return [Listed(path=item.path, name=name) for item, name in zip(found.values(), _numbered(names), strict=True)]


def _absolute(path: Path) -> Path:
    """Without ``..``, so that an image named in two ways is found once; links keep their own name."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links


def _expand(word: str, *, suffixes: Collection[str], listed_in: Path | None = None) -> Iterable[_Found]:
    """One word's images; ``listed_in`` is the folder of the list that holds the word."""
    if word.startswith("@") and listed_in is None:
        yield from _read_list(Path(word[1:]), suffixes)
        return
    path = Path(word).expanduser()
    if listed_in is not None and not path.exists() and (listed_in / path).exists():
        path = listed_in / path
    if path.is_dir():
        yield from _search(path, suffixes)
    elif path.suffix.lower() == LIST_SUFFIX and path.is_file() and listed_in is None:
        yield from _read_list(path, suffixes)
    elif path.is_file() or (listed_in is not None and not glob.has_magic(word)):
        yield _Found(path, _absolute(path).parent)
    elif glob.has_magic(word):
        yield from _match(path, suffixes)
    else:
        raise DataError(f"{word}: there is no such file or folder, and it is no pattern")


def _search(folder: Path, suffixes: Collection[str]) -> Iterable[_Found]:
    for path in sorted(folder.rglob("*")):
        if _counts(path.relative_to(folder), suffixes) and path.is_file():
            yield _Found(path, _absolute(folder))


def _match(pattern: Path, suffixes: Collection[str]) -> Iterable[_Found]:
    fixed = _absolute(Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts[:-1])))
    matches = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - takes absolute patterns too, Path.glob does not
    paths = [Path(match) for match in sorted(matches)]
    hits = [path for path in paths if path.is_file() and path.suffix.lower() in suffixes]
    if not hits:
        raise DataError(f"{pattern}: the pattern matches no image")
    for path in hits:
        yield _Found(path, fixed)


def _read_list(path: Path, suffixes: Collection[str]) -> Iterable[_Found]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a list of images: {error}") from error
    for line in lines:
        word = line.strip()
        if word and not word.startswith("#"):
            yield from _expand(word, suffixes=suffixes, listed_in=_absolute(path).parent)


def _counts(inside: Path, suffixes: Collection[str]) -> bool:
    return inside.suffix.lower() in suffixes and not any(part.startswith(".") for part in inside.parts)


def _below(place: Path, base: Path) -> str:
    inside = place.relative_to(base) if place.is_relative_to(base) else Path(place.name)
    return PurePosixPath(*inside.parts).with_suffix("").as_posix()


def _clash(places: Sequence[Path], names: Sequence[str]) -> bool:
    """Whether images of different folders would get one name; numbers are for those that lie side by side."""
    parents: dict[str, set[Path]] = defaultdict(set)
    for place, name in zip(places, names, strict=True):
        parents[name.casefold()].add(place.parent)
    return any(len(folders) > 1 for folders in parents.values())


def _numbered(names: Sequence[str]) -> list[str]:
    """Adds numbers until no two names are the same, on file systems that ignore case too."""
    taken = {name.casefold() for name in names}
    seen: set[str] = set()
    unique: list[str] = []
    for name in names:
        chosen, number = name, 1
        while chosen.casefold() in seen or (number > 1 and chosen.casefold() in taken):
            number += 1
            chosen = f"{name}-{number}"
        seen.add(chosen.casefold())
        unique.append(chosen)
    return unique
