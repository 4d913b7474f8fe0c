"""Finds byte-identical images in different splits, which make validation scores too good."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from datamodules.cache.check_results import read_result, result_path, write_result
from datamodules.errors import DataError
from datamodules.index.pairs import name_below
from datamodules.index.splits import Split
from datamodules.loading.parallel import map_files

_log = logging.getLogger("darkroom")

#: Whether images in two splits are reported in one warning, or stop the run.
OnDuplicates = Literal["warn", "error"]

_MAX_NAMED = 5  # groups of duplicates that the message names
_EDGE_BYTES = 4096  # compared at both ends of a file before the whole file is read


def report_duplicates(
    root: Path,
    splits: Mapping[Split, Sequence[Path]],
    *,
    results: Path,
    on_duplicates: OnDuplicates,
    workers: int,
) -> None:
    """Reports images in more than one split; the result is stored until a file or the split changes.

    Args:
        root: the data's root, for names.
        splits: images by split. ``test`` may be the same as ``val`` and is then not compared.
        results: folder of stored check results.
        on_duplicates: ``"warn"`` logs a warning, ``"error"`` raises.
        workers: number of processes.

    Raises:
        DataError: if there are duplicates and ``on_duplicates`` is ``"error"``.
    """
    distinct = {name: paths for name, paths in splits.items() if name != "test" or paths != splits["val"]}
    files = (path for paths in distinct.values() for path in paths)
    counts = {name: len(paths) for name, paths in distinct.items()}  # with the order of files: the split of each
    result = result_path(results, files, about=f"duplicates {counts}")
    stored = read_result(result)
    if not isinstance(stored, list):
        stored = [
            [f"{name_below(root, path)} ({split})" for split, path in twins]
            for twins in find_duplicates(distinct, workers=workers)
        ]
        write_result(result, stored)
    if not stored:
        return
    named = ", ".join(" = ".join(twins) for twins in stored[:_MAX_NAMED])
    more = f" and {len(stored) - _MAX_NAMED} more" if len(stored) > _MAX_NAMED else ""
    message = (
        f"{len(stored)} IMAGE(S) LIE IN MORE THAN ONE SPLIT, the same byte by byte, which makes scores look better "
        f"than they are: {named}{more}. Keep each in one split"
    )
    if on_duplicates == "error":
        raise DataError(f"{message}, or go on with --data.duplicates warn")
    _log.warning("%s; --data.duplicates error stops instead", message)


def find_duplicates(splits: Mapping[Split, Sequence[Path]], *, workers: int) -> list[list[tuple[Split, Path]]]:
    """Finds images with the same content in different splits.

    Compares file sizes first, then both ends of files of equal size, then whole files if the ends agree, so that few
    files are read.

    Args:
        splits: images by split.
        workers: number of processes.

    Returns:
        For every content in more than one split, one image of each of these splits.
    """
    files = [(split, path) for split, paths in splits.items() for path in paths]
    groups = _across_splits([files], [path.stat().st_size for _, path in files])
    for digest in (partial(_digest, whole=False), partial(_digest, whole=True)):
        candidates = [file for group in groups for file in group]
        found = map_files(digest, [path for _, path in candidates], workers=workers, title="looking for duplicates")
        groups = _across_splits(groups, found)
    return [list({split: (split, path) for split, path in reversed(group)}.values())[::-1] for group in groups]


def _across_splits(
    groups: Iterable[Sequence[tuple[Split, Path]]], keys: Sequence[object]
) -> list[list[tuple[Split, Path]]]:
    """Divides every group by the keys of its files, and keeps the parts with files of two splits."""
    parts: dict[tuple[int, object], list[tuple[Split, Path]]] = defaultdict(list)
    values = iter(keys)
    for number, group in enumerate(groups):
        for file in group:
            value = next(values)
            if not isinstance(value, DataError):  # a file removed meanwhile has no duplicate
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
                digest.update(file.read(_EDGE_BYTES))
                file.seek(-min(_EDGE_BYTES, path.stat().st_size), 2)
                digest.update(file.read(_EDGE_BYTES))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.digest()
