"""Splits images into train, val and test by whole groups, the same on every machine."""

import csv
import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, TypeVar

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import Problem

Split = Literal["train", "val", "test"]
SPLIT_SEED = 42  # of `held_out` and `subsample`; independent of the seed of the run
#: Words for the splits, in lower case.
SPLIT_NAMES: dict[str, Split] = {
    **{"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"},
    **{"test": "test", "testing": "test"},
}
T = TypeVar("T")


def group_pairs(pairs: Sequence[Pair], pattern: str | None) -> tuple[dict[str, str], list[Problem]]:
    """Assigns each image to a group.

    Args:
        pairs: the images.
        pattern: regular expression searched for in an image's key; the group is the text matched by its first
            parenthesis, or by the whole pattern if it has none. ``None`` puts every image into its own group.

    Returns:
        Group by image name, and a problem for each image whose key does not match.

    Raises:
        DataError: if ``pattern`` is not a regular expression.
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
    """Chooses the groups held out for validation: the first ones in the order of their names' hashes.

    The choice does not depend on the machine or the order of files, and an added group changes it by at most one.

    Args:
        groups: names; may repeat.
        share: fraction of the groups, rounded down, at least one; 0.2 of Carvana's 318 cars are the lesson's 63. 1
            holds all of them out, to evaluate a network on a whole folder.
        seed: seed of the hash.

    Raises:
        DataError: if ``share`` is outside (0, 1], or there are fewer than two groups to divide.
    """
    names = sorted(set(groups))
    if not 0 < share <= 1:
        raise DataError(
            f"val_share must be above 0 and at most 1, not {share}: 1 holds all images out, for validate and test"
        )
    if share == 1:
        return frozenset(names)
    if len(names) < 2:
        raise DataError(
            f"{len(names)} group(s) of images ({', '.join(names)}) cannot be split into training and validation: "
            "at least two are needed"
        )
    count = max(1, int(share * len(names) + 1e-9))  # 0.29 * 100 is 28.999...
    return frozenset(_by_hash(names, seed, lambda name: name)[:count])


def fold_of(groups: Iterable[str], *, folds: int, fold: int, seed: int = SPLIT_SEED) -> frozenset[str]:
    """Chooses the groups of one fold: they are dealt out in the order of their names' hashes, so sizes differ by one.

    Args:
        groups: names; may repeat.
        folds: number of folds, at least 2.
        fold: the fold, from 1.
        seed: seed of the hash.

    Raises:
        DataError: if there are fewer groups than folds.
    """
    names = sorted(set(groups))
    if len(names) < folds:
        raise DataError(
            f"{folds} folds need at least {folds} groups of images, and there are {len(names)}: lower --folds"
        )
    return frozenset(_by_hash(names, seed, lambda name: name)[fold - 1 :: folds])


def subsample(items: Sequence[T], *, share: float, name: Callable[[T], str], seed: int = SPLIT_SEED) -> list[T]:
    """Keeps a random fraction of ``items``, at least one, in their order.

    Args:
        items: for example pairs.
        share: fraction in (0, 1].
        name: returns the name of an item; the hash of seed and name decides whether it is kept.
        seed: seed of the hash.

    Raises:
        DataError: if ``share`` is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise DataError(f"keep_pct must be above 0 and at most 1, not {share}")
    if share == 1:
        return list(items)
    chosen = {name(item) for item in _by_hash(items, seed, name)[: max(1, int(share * len(items) + 1e-9))]}
    return [item for item in items if name(item) in chosen]


def read_split_file(path: Path, pairs: Sequence[Pair]) -> tuple[dict[str, Split], list[Problem]]:
    """Reads the split of each image.

    Args:
        path: CSV with the columns ``name`` and ``split``. A name is the path of the image below the data's root or
            below its own folder, with or without suffix; a split is a key of ``SPLIT_NAMES``.
        pairs: all images.

    Returns:
        Split by image name, and the problems: rows that point outside the root or to no image, images in two
        splits or in none.

    Raises:
        DataError: if the file cannot be read or lacks a column.
    """
    known: dict[str, str] = {}
    for pair in pairs:
        for name in (pair.key, pair.key + pair.image.suffix, pair.name, str(PurePosixPath(pair.name).with_suffix(""))):
            known[_nfc(name)] = pair.name
    splits: dict[str, Split] = {}
    problems: list[Problem] = []
    for line, (name, text) in read_rows(path, ("name", "split")):
        where = f"{path.name} line {line}"
        listed, split = known.get(_nfc(name)), SPLIT_NAMES.get(text.lower())
        if is_outside_root(name):
            problems.append(Problem("row that points outside the root", where, name))
        elif split is None:
            problems.append(Problem("split that is none of train, val, test", where, text or "empty"))
        elif listed is None:
            problems.append(Problem("row without an image", where, name))
        elif splits.setdefault(listed, split) != split:
            problems.append(Problem("image in two splits", where, name))
    problems += [
        Problem(f"image that {path.name} does not list", pair.name) for pair in pairs if pair.name not in splits
    ]
    return splits, problems


def read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Reads columns of a CSV file with a header.

    Returns:
        Line number and stripped values of every row.

    Raises:
        DataError: if the file cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:  # as names of files
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise DataError(f"{path}: no column {', '.join(missing)} in its heading {reader.fieldnames}")
            return [(reader.line_num, tuple((row[c] or "").strip() for c in columns)) for row in reader]
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: name it as it lies below the data root") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a CSV file: {error}") from error


def is_outside_root(name: str) -> bool:
    """Whether a relative name would leave its folder on any operating system."""
    windows = PureWindowsPath(name)
    return bool(windows.drive or windows.root) or ".." in windows.parts


def groups_across_splits(groups: Mapping[str, str], splits: Mapping[str, Split]) -> list[Problem]:
    """Reports groups that have images in more than one split.

    Args:
        groups: group by image name.
        splits: split by image name.
    """
    splits_of_group: dict[str, dict[Split, str]] = defaultdict(dict)
    for name, group in groups.items():
        if name in splits:
            splits_of_group[group].setdefault(splits[name], name)
    return [
        Problem("group in more than one split", group, ", ".join(f"{name} in {split}" for split, name in found.items()))
        for group, found in sorted(splits_of_group.items())
        if len(found) > 1
    ]


def _nfc(name: str) -> str:
    """Unicode form NFC: some systems write accents as characters of their own."""
    return unicodedata.normalize("NFC", name)


def _by_hash(items: Iterable[T], seed: int, name: Callable[[T], str]) -> list[T]:
    def digest(item: T) -> bytes:
        text = f"{seed}:{name(item)}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()  # names need not be UTF-8

    return sorted(items, key=digest)
