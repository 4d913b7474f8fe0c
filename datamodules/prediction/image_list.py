"""Lists the inputs of ``predict``: files, folders, patterns and lists become files with unique names."""

import glob
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePosixPath

from datamodules.errors import DataError
from datamodules.index.folder_scan import count_suffixes, is_dead_link, name_some, scan_folder
from datamodules.io.home_folder import expand_home
from datamodules.io.image_file import SUFFIXES

LIST_SUFFIX = ".txt"
#: Suffixes of images and videos that a user expects to be processed, whether or not they are supported.
_MEDIA_SUFFIXES = SUFFIXES | frozenset(
    f".{suffix}"
    for suffix in (
        *("arw", "cr2", "cr3", "dds", "dng", "exr", "hdr", "ico", "jxl", "nef", "orf", "pcx", "psd", "qoi", "raf"),
        *("raw", "rw2", "sgi", "svg", "tga", "xcf"),
        *("3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "vob", "webm", "wmv"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An input file.

    Args:
        path: the file.
        name: name of its results: relative, with ``/``, without suffix, unique.
    """

    path: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The files of a prediction.

    Args:
        files: the files to read, in the order of the arguments.
        others: files in folders and patterns that are left out because of their suffix.
        problems: a line for each folder that cannot be listed, and for each link that may be a missing folder.
    """

    files: list[Listed]
    others: list[Path]
    problems: list[str]

    @property
    def complete(self) -> bool:
        """Whether no image, video or folder is left out; other files, such as texts, do not count."""
        return not self.problems and not any(path.suffix.lower() in _MEDIA_SUFFIXES for path in self.others)

    def lines(self) -> list[str]:
        """Lines that report the formats, if there are several, and what is left out."""
        paths = [listed.path for listed in self.files]
        formats = len({path.suffix.lower() for path in paths}) > 1
        lines = [f"inputs: {count_suffixes(paths)}"] if formats else []
        others = [str(path) for path in self.others]
        lines += [f"left out, suffix not supported: {len(others)} ({name_some(others)})"] if others else []
        return [*lines, *(f"left out: {problem}" for problem in self.problems)]


@dataclass(frozen=True)
class _Found:
    path: Path
    base: Path  # the folder of the argument; names are relative to it


@dataclass
class _Search:
    suffixes: Collection[str]
    exclude: Path | None
    found: dict[Path, _Found] = field(default_factory=dict)
    others: dict[Path, None] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)


def list_inputs(
    arguments: Sequence[str], *, exclude: Path | None = None, suffixes: Collection[str] = SUFFIXES
) -> Inputs:
    """Finds every file that the arguments name, each once, in their order.

    An argument is a file, a folder (searched at any depth), a pattern with ``*``, ``?`` or ``[]`` (``**`` for any
    depth), or a list: ``@FILE`` or a ``.txt`` file with one argument per line (``#`` starts a comment). An existing
    file or folder takes precedence over any other meaning of its name. Paths in a list are relative to the working
    directory or, if they do not exist there, to the folder of the list. Hidden files in folders are ignored.

    Names are relative to the folder of the argument. If two would be equal, all are relative to the common folder of
    all files; names that differ by suffix only are numbered ``-2``, ``-3``.

    Args:
        arguments: as typed.
        exclude: a folder whose files are ignored, so that results are not used as inputs.
        suffixes: lower-case suffixes of the files that are used in folders and patterns.

    Raises:
        DataError: if an argument names nothing, or there is no file at all. A missing file in a list is listed, and
            reported when it is read.
    """
    search = _Search(suffixes, exclude and _absolute(exclude))
    for argument in arguments:
        for item in _expand(argument, search):
            path = _absolute(item.path)
            if search.exclude is None or not path.is_relative_to(search.exclude):
                search.found.setdefault(path, item)
    others = [path for path in search.others if not (search.exclude and _absolute(path).is_relative_to(search.exclude))]
    if not search.found:
        reasons = [f"there are only other files: {count_suffixes(others)}"] if others else []
        reasons += search.problems or ["name files, folders, patterns or a list of them (@list.txt)"]
        raise DataError("no image to work on: " + "; ".join(reasons))
    paths = list(search.found)
    names = [_relative_name(path, item.base) for path, item in search.found.items()]
    if _clash(paths, names):
        shared = Path(os.path.commonpath([path.parent for path in paths]))
        names = [_relative_name(path, shared) for path in paths]
    listed = [
        Listed(path=item.path, name=name) for item, name in zip(search.found.values(), _numbered(names), strict=True)
    ]
    return Inputs(files=listed, others=others, problems=list(search.problems))


def _absolute(path: Path) -> Path:
    """Without ``..``, so that a file with two paths is found once; links are not resolved."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links


def _expand(argument: str, search: _Search, *, list_folder: Path | None = None) -> Iterator[_Found]:
    """The files of one argument; ``list_folder`` is the folder of the list that contains it."""
    path = Path(argument)
    if not _exists(path) and list_folder is None and argument.startswith("@"):
        yield from _read_list(expand_home(argument[1:]), search)
        return
    if not _exists(path):
        path = expand_home(argument)
    if list_folder is not None and not _exists(path) and _exists(list_folder / path):
        path = list_folder / path
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises PermissionError
        yield from _scan(path, search, base=path)
    elif path.suffix.lower() == LIST_SUFFIX and _exists(path) and list_folder is None:
        yield from _read_list(path, search)
    elif _exists(path) or (list_folder is not None and not glob.has_magic(argument)):
        yield _Found(path, _absolute(path).parent)
    elif glob.has_magic(argument):
        yield from _match(path, search)
    else:
        raise DataError(f"{argument}: {_reason(path)}")


def _exists(path: Path) -> bool:
    """Whether there is a file, folder or link; a link to a missing file is reported when it is read."""
    return os.path.lexists(path)


def _reason(path: Path) -> str:
    try:
        path.lstat()
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except (OSError, ValueError):
        pass
    return "there is no such file or folder, and it is no pattern"


def _scan(folder: Path, search: _Search, *, base: Path) -> Iterable[_Found]:
    scan = scan_folder(folder, search.suffixes)
    search.others |= dict.fromkeys(scan.others)
    search.problems |= dict.fromkeys(scan.problems)
    return [_Found(path, _absolute(base)) for path in scan.files]


def _match(pattern: Path, search: _Search) -> Iterator[_Found]:
    base = _absolute(Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts[:-1])))
    matches = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - takes absolute patterns too, Path.glob does not
    found: list[_Found] = []
    for path in map(Path, sorted(matches)):
        if os.path.isdir(path):  # noqa: PTH112
            found += _scan(path, search, base=base)
        elif not path.suffix and is_dead_link(path):
            search.problems[f"{path}: is a link to {path.readlink()}, which does not exist"] = None
        elif path.suffix.lower() in search.suffixes:
            found.append(_Found(path, base))
        else:
            search.others[path] = None
    if not found:
        raise DataError(f"{pattern}: the pattern matches no image")
    yield from found


def _read_list(path: Path, search: _Search) -> Iterator[_Found]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a list of images: {error}") from error
    if b"\0" in content:
        raise DataError(f"{path}: cannot be read as a list of images: it is not text in UTF-8")
    for line in os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).splitlines():  # without the byte order mark
        argument = line.strip()
        if argument and not argument.startswith("#"):
            yield from _expand(argument, search, list_folder=_absolute(path).parent)


def _relative_name(path: Path, base: Path) -> str:
    inside = path.relative_to(base) if path.is_relative_to(base) else Path(path.name)
    return PurePosixPath(*inside.parts).with_suffix("").as_posix()


def _clash(paths: Sequence[Path], names: Sequence[str]) -> bool:
    """Whether files of different folders have equal names; those of one folder are numbered instead."""
    parents: dict[str, set[Path]] = defaultdict(set)
    for path, name in zip(paths, names, strict=True):
        parents[name.casefold()].add(path.parent)
    return any(len(folders) > 1 for folders in parents.values())


def _numbered(names: Sequence[str]) -> list[str]:
    """Appends numbers until all names are unique, also on file systems that ignore case."""
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
