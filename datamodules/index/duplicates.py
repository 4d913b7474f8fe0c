"""The same image in two splits, byte by byte: a validation that is better than it should be."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from datamodules.cache.check_results import read_json, stamp_of_files, write_json
from datamodules.errors import DataError
from datamodules.index.splits import Split
from datamodules.loading.parallel import map_files

_log = logging.getLogger("darkroom")

#: What becomes of images that lie in two splits: they are told in one loud line, or stop the run.
OnDuplicates = Literal["warn", "error"]

_NAMED = 5
_ENDS = 4096  # bytes at either end of a file, compared before the whole of it is read


def report_duplicates(
    root: Path,
    splits: Mapping[Split, Sequence[Path]],
    *,
    stamps: Path,
    on_duplicates: OnDuplicates,
    workers: int,
) -> None:
    """Says which images are in more than one split; remembers what was found until a file or the split changes.

    Args:
        root: the data's root, for names.
        splits: the images of each; one that stands for another, as val does for test, may be the same.
        stamps: folder in which checks are remembered.
        on_duplicates: whether they stop the run.
        workers: processes that share the work.

    Raises:
        DataError: if there are any and they shall stop the run.
    """
    distinct = {name: paths for name, paths in splits.items() if name != "test" or paths != splits["val"]}
    files = (path for paths in distinct.values() for path in paths)
    shares = {name: len(paths) for name, paths in distinct.items()}  # with the files in their order, who is where
    stamp = stamp_of_files(stamps, files, about=f"duplicates {shares}")
    stored = read_json(stamp)
    if not isinstance(stored, list):
        stored = [
            [f"{path.relative_to(root).as_posix()} ({split})" for split, path in twins]
            for twins in find_duplicates(distinct, workers=workers)
        ]
        write_json(stamp, stored)
    if not stored:
        return
    named = ", ".join(" = ".join(twins) for twins in stored[:_NAMED])
    more = f" and {len(stored) - _NAMED} more" if len(stored) > _NAMED else ""
    message = (
        f"{len(stored)} IMAGE(S) LIE IN MORE THAN ONE SPLIT, the same byte by byte, which makes scores look better "
        f"than they are: {named}{more}. Keep each in one split"
    )
    if on_duplicates == "error":
        raise DataError(f"{message}, or go on with --data.duplicates warn")
    _log.warning("%s; --data.duplicates error stops instead", message)


def find_duplicates(splits: Mapping[Split, Sequence[Path]], *, workers: int) -> list[list[tuple[Split, Path]]]:
    """Finds images of the same content in different splits.

    Sizes come first, then both ends of files whose size occurs in two splits, and whole files only where these agree
    too: of a million images, a few are read.

    Args:
        splits: the images of each.
        workers: processes that share the work.

    Returns:
        For every content in more than one split, one image of each of these splits.
    """
    files = [(split, path) for split, paths in splits.items() for path in paths]
    groups = _across([files], [path.stat().st_size for _, path in files])
    for look in (partial(_digest, whole=False), partial(_digest, whole=True)):
        candidates = [file for group in groups for file in group]
        found = map_files(look, [path for _, path in candidates], workers=workers, title="looking for duplicates")
        groups = _across(groups, found)
    return [list({split: (split, path) for split, path in reversed(group)}.values())[::-1] for group in groups]


def _across(groups: Iterable[Sequence[tuple[Split, Path]]], found: Sequence[object]) -> list[list[tuple[Split, Path]]]:
    """Parts every group by what was found of its files, and keeps the parts with files of two splits."""
    parts: dict[tuple[int, object], list[tuple[Split, Path]]] = defaultdict(list)
    values = iter(found)
    for number, group in enumerate(groups):
        for file in group:
            value = next(values)
            if not isinstance(value, DataError):  # a file that has just gone has no twin
                parts[number, value].append(file)
    return [part for part in parts.values() if len({split for split, _ in part}) > 1]


def _digest(path: Path, *, whole: bool) -> bytes:
    digest = blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            if whole:
                while block := file.read(1 << 20):
                    digest.update(block)
            else:
                digest.update(file.read(_ENDS))
                file.seek(-min(_ENDS, path.stat().st_size), 2)
                digest.update(file.read(_ENDS))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.digest()
