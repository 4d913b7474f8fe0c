"""Which images train and which validate: by whole groups, the same on every machine."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, TypeVar, cast, get_args

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import Problem

Split = Literal["train", "val", "test"]
SPLIT_SEED = 42  # of the held-out groups and of `keep`; the run's own seed does not move images between the halves
T = TypeVar("T")


def group_pairs(pairs: Sequence[Pair], pattern: str | None) -> tuple[dict[str, str], list[Problem]]:
    """Tells which group each image belongs to.

    Args:
        pairs: the images.
        pattern: regular expression searched for in an image's key; the group is what its first parenthesis (or
            else the whole of it) matched. ``None`` makes every image a group of its own.

    Returns:
        Group by image name, and the images in whose key the pattern is not found.

    Raises:
        DataError: if ``pattern`` is no regular expression.
    """
    if pattern is None:
        return {pair.name: pair.name for pair in pairs}, []
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"group_pattern {pattern!r} is not a regular expression: {error}") from error
    groups: dict[str, str] = {}
    problems: list[Problem] = []
    for pair in pairs:
        match = compiled.search(pair.key)
        group = match and match[1 if compiled.groups else 0]
        if group:
            groups[pair.name] = group
        else:
            problems.append(Problem("name without its group", pair.name, f"{pattern!r} is not found in '{pair.key}'"))
    return groups, problems


def held_out(groups: Iterable[str], *, share: float, seed: int = SPLIT_SEED) -> frozenset[str]:
    """Chooses the groups that validate: those whose names come first when ordered by their hash.

    So neither the machine nor the order of its files matters, and one group more changes at most one place.

    Args:
        groups: names, repeated or not.
        share: of the groups, rounded down but at least one; 0.2 of Carvana's 318 cars are the lesson's 63.
        seed: another seed holds out other groups.

    Raises:
        DataError: if fewer than two groups are there to be shared out, or the share leaves nothing to train on.
    """
    names = sorted(set(groups))
    if not 0 < share < 1:
        raise DataError(f"val_share must be between 0 and 1, not {share}")
    if len(names) < 2:
        raise DataError(
            f"{len(names)} group(s) of images ({', '.join(names)}) cannot be split into training and validation: "
            "two are the least"
        )
    count = max(1, int(share * len(names) + 1e-9))  # 0.29 * 100 is 28.999...
    return frozenset(_by_hash(names, seed, lambda name: name)[:count])


def keep(items: Sequence[T], *, share: float, name: Callable[[T], str], seed: int = SPLIT_SEED) -> list[T]:
    """Keeps a random share of ``items`` for a quick experiment, at least one, in their own order.

    Args:
        items: for example pairs.
        share: above 0 and up to 1.
        name: what an item is called; decides with ``seed`` whether it is kept.
        seed: another seed keeps others.

    Raises:
        DataError: if ``share`` is out of its range.
    """
    if not 0 < share <= 1:
        raise DataError(f"keep_pct must be above 0 and at most 1, not {share}")
    if share == 1:
        return list(items)
    chosen = {name(item) for item in _by_hash(items, seed, name)[: max(1, int(share * len(items) + 1e-9))]}
    return [item for item in items if name(item) in chosen]


def read_split_file(path: Path, pairs: Sequence[Pair]) -> tuple[dict[str, Split], list[Problem]]:
    """Reads which half each image belongs to.

    Args:
        path: CSV with the columns ``name`` and ``split``. A name is that of the image below the data's root or
            below its own folder, with or without suffix; a split is ``train``, ``val`` or ``test``.
        pairs: the images there are.

    Returns:
        Split by image name, and what is wrong: rows that point outside the root or at no image, images in two
        halves or in none.

    Raises:
        DataError: if the file cannot be read or lacks a column.
    """
    known: dict[str, str] = {}
    for pair in pairs:
        for name in (pair.key, pair.key + pair.image.suffix, pair.name, str(PurePosixPath(pair.name).with_suffix(""))):
            known[name] = pair.name
    splits: dict[str, Split] = {}
    problems: list[Problem] = []
    for line, (name, split) in read_rows(path, ("name", "split")):
        where = f"{path.name} line {line}"
        listed = known.get(name)
        if points_outside(name):
            problems.append(Problem("row that points outside the root", where, name))
        elif split not in get_args(Split):
            problems.append(Problem("split that is none of train, val, test", where, split or "empty"))
        elif listed is None:
            problems.append(Problem("row without an image", where, name))
        elif splits.setdefault(listed, cast("Split", split)) != split:
            problems.append(Problem("image in two splits", where, name))
    problems += [
        Problem(f"image that {path.name} does not list", pair.name) for pair in pairs if pair.name not in splits
    ]
    return splits, problems


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Reads the named columns of a CSV file with a heading.

    Returns:
        Line number and stripped values of every row.

    Raises:
        DataError: if the file cannot be read as UTF-8 text or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise DataError(f"{path}: no column {', '.join(missing)} in its heading {reader.fieldnames}")
            return [(reader.line_num, tuple((row[c] or "").strip() for c in columns)) for row in reader]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: name it as it lies below the data root") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error


def points_outside(name: str) -> bool:
    """Tells whether a name from a file would leave the folder it should lie in, on any system."""
    windows = PureWindowsPath(name)
    return bool(windows.drive or windows.root) or ".." in windows.parts


def straddling(groups: Mapping[str, str], splits: Mapping[str, Split]) -> list[Problem]:
    """Finds groups that have images in more than one split.

    Args:
        groups: group by image name.
        splits: split by image name.
    """
    halves: dict[str, dict[Split, str]] = defaultdict(dict)
    for name, group in groups.items():
        if name in splits:
            halves[group].setdefault(splits[name], name)
    return [
        Problem("group in more than one split", group, ", ".join(f"{name} in {split}" for split, name in found.items()))
        for group, found in sorted(halves.items())
        if len(found) > 1
    ]


def _by_hash(items: Iterable[T], seed: int, name: Callable[[T], str]) -> list[T]:
    return sorted(items, key=lambda item: hashlib.sha256(f"{seed}:{name(item)}".encode()).digest())
