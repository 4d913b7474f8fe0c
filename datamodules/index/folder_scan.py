"""Scans a folder for files with certain suffixes, without losing any other file silently."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePath

from datamodules.errors import DataError
from datamodules.io.image_file import SUFFIXES

_MAX_NAMED = 5  # files or folders that a line names


@dataclass(frozen=True, kw_only=True)
class FolderScan:
    """The files below a folder, without hidden ones.

    Args:
        files: files with one of the suffixes, sorted. A link whose target is missing is one of them.
        others: all other files, sorted.
        problems: a line for each folder that cannot be listed, and for each link that may be a missing folder.
    """

    files: list[Path]
    others: list[Path]
    problems: list[str]


_remembered: ContextVar[dict[tuple[Path, frozenset[str]], FolderScan] | None] = ContextVar("scans", default=None)


def scan_folder(folder: Path, suffixes: Collection[str] = SUFFIXES) -> FolderScan:
    """Finds all files below ``folder`` at any depth.

    Links to folders are followed, each real folder once. Hidden files and folders are ignored.

    Args:
        folder: an existing folder.
        suffixes: lower-case suffixes of the files to find; they are compared without case.
    """
    remembered = _remembered.get()
    if remembered is None:
        return _scan(folder, suffixes)
    key = (folder, frozenset(suffixes))
    if key not in remembered:
        remembered[key] = _scan(folder, suffixes)
    return remembered[key]


@contextmanager
def scan_once() -> Iterator[None]:
    """Within the block every folder is scanned once: later calls of ``scan_folder`` return what the first one found."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


def _scan(folder: Path, suffixes: Collection[str]) -> FolderScan:
    files: list[Path] = []
    others: list[Path] = []
    errors: list[OSError] = []
    problems: list[str] = []
    seen: set[str] = set()
    below = [folder]
    while below:
        here = below.pop()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(here) as entries:
                folders = {entry.name for entry in entries if _is_folder(entry)}
            paths = list(here.iterdir())  # half the time of joining folder and name
        except OSError as error:
            errors.append(error)
            continue
        below += [here / name for name in sorted(folders, reverse=True) if not name.startswith(".")]
        for path in paths:
            name = path.name
            if name in folders or name.startswith("."):
                continue
            suffix = name[name.rfind(".") :] if "." in name else ""
            if suffix.lower() in suffixes:
                files.append(path)
            elif suffix in ("", ".") and is_dead_link(path):
                problems.append(f"{path}: is a link to {path.readlink()}, which does not exist")
            else:
                others.append(path)
    problems += [f"{error.filename}: cannot be listed: {error.strerror or error}" for error in errors]
    files.sort(key=_order)
    others.sort(key=_order)
    return FolderScan(files=files, others=others, problems=sorted(problems))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links, or a folder that may not be entered: reported as a file
        return False


def _order(path: Path) -> str:
    """The order of ``path.parts``, in a third of the time: no name contains a null character."""
    return str(path).replace(os.sep, "\0")


def is_dead_link(path: Path) -> bool:
    """Whether ``path`` is a link whose target does not exist."""
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114 - Path's raise PermissionError


def list_images(folder: Path) -> list[Path]:
    """Lists all images below ``folder`` as ``scan_folder`` finds them.

    Raises:
        DataError: naming the folders that cannot be listed.
    """
    scan = scan_folder(folder)
    if scan.problems:
        lines = "\n  ".join(scan.problems)
        raise DataError(f"{folder} cannot be read completely:\n  {lines}\nCorrect or remove these, then run again.")
    return scan.files


def unused_lines(root: Path, folders: Iterable[Path]) -> list[str]:
    """A line for the summary if there are files below ``folders`` that are no images by their suffix, such as videos.

    Args:
        root: the data's root, for names.
        folders: existing folders, which may repeat or contain each other. Hidden files in them do not count.
    """
    others = dict.fromkeys(path for folder in dict.fromkeys(folders) for path in scan_folder(folder).others)
    names = [PurePath(os.path.relpath(path, root)).as_posix() for path in others]
    return [f"  left out, no images by their suffix: {len(names)} ({name_some(names)})"] if names else []


def count_suffixes(paths: Sequence[Path]) -> str:
    """Counts files by suffix in one phrase.

    >>> count_suffixes([Path("a.heic"), Path("b.HEIC"), Path("notes")])
    '2 x .heic, 1 x without suffix'
    """
    counts = Counter(path.suffix.lower() or "without suffix" for path in paths)
    named = [f"{count} x {suffix}" for suffix, count in counts.most_common(_MAX_NAMED)]
    return ", ".join([*named, *(["others"] if len(counts) > _MAX_NAMED else [])])


def name_some(names: Sequence[str]) -> str:
    """Names the first files of a list and counts the others.

    >>> name_some(["a.jpg", "b.jpg"])
    'a.jpg, b.jpg'
    """
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
