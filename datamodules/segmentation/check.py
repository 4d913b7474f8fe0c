"""Looks at every file of a data set once, before the first step, and tells everything that is wrong with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import OnBad, Problem, refuse_or_skip
from datamodules.io.image import image_size, read_image
from datamodules.loading.parallel import map_files
from datamodules.segmentation.label_map import ValueCount
from datamodules.segmentation.labels import Labels
from datamodules.segmentation.mask_io import mask_orientation, read_mask_values

_SHOWN = 8  # mask values spelt out for one file
_SMALL = 64  # JPEGs are decoded at a fraction, ten times faster: the whole file is read in any case

WAY_OUT = "Correct or remove these files, then run again; nothing was trained."
SOFT_EDGES = " If the masks have soft edges, set mask_threshold (for example 128)."


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a sound data set holds.

    Args:
        values: pixels by stored mask value, over all masks.
        mapping: stored mask value to class number, 255 where it is ignored.
        sizes: images by ``"width x height"`` as displayed.
        turned: EXIF orientation that a mask shares with its image, by image name; 1 is left out.
        bad: why an image is left out, by its name; empty unless that is allowed.
    """

    values: Mapping[int, int]
    mapping: Mapping[int, int]
    sizes: Mapping[str, int]
    turned: Mapping[str, int]
    bad: Mapping[str, str]


def check_pairs(
    root: Path,
    pairs: Sequence[Pair],
    labels: Labels,
    *,
    found: Sequence[Problem] = (),
    on_bad: OnBad = "error",
    workers: int,
) -> Facts:
    """Decodes every image and mask, compares their sizes and looks up the masks' values, in parallel.

    Args:
        root: the data's root, for names.
        pairs: what to check.
        labels: the class list.
        found: problems known already, told together with those found here.
        on_bad: whether images that cannot be used, one in a hundred at most, are left out.
        workers: processes that share the work.

    Raises:
        DataError: naming the first twenty problems and counting all.
    """
    outcomes = map_files(partial(_look, root), pairs, workers=workers, title="checking images and masks")
    looks = [look for look in outcomes if not isinstance(look, DataError)]
    strange = _strange_values(root, pairs, looks, labels)
    soft = SOFT_EDGES if strange and labels.one_class and labels.threshold is None else ""
    bad: dict[str, list[Problem]] = {}
    for pair, look in zip(pairs, looks, strict=True):
        wrong = [*look.problems, *([strange[pair.name]] if pair.name in strange else [])]
        if wrong:
            bad[pair.name] = wrong
    problems = sorted([*found, *(problem for wrong in bad.values() for problem in wrong)])
    alone = sum(problem.skippable for problem in found)
    refuse_or_skip(root, problems, WAY_OUT + soft, on_bad=on_bad, total=len(pairs) + alone)
    sound = [(pair, look) for pair, look in zip(pairs, looks, strict=True) if pair.name not in bad]
    table = _table(sound)
    try:
        values = labels.values(table)
    except DataError as error:
        raise DataError(f"the data in {root} cannot be used: {error}") from error
    return Facts(
        values={value: count.pixels for value, count in table.items()},
        mapping=values.classes,
        sizes=dict(Counter(f"{look.width} x {look.height}" for _, look in sound)),
        turned={pair.name: look.orientation for pair, look in sound if look.orientation != 1},
        bad={name: "; ".join(str(problem) for problem in wrong) for name, wrong in bad.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What one pair holds; of a file that cannot be read, nothing but the problem."""

    height: int = 0
    width: int = 0
    orientation: int = 1
    values: Mapping[int, int]
    problems: tuple[Problem, ...]


def _look(root: Path, pair: Pair) -> _Look:
    problems: list[Problem] = []
    size: tuple[int, int] | None = None
    values: Mapping[int, int] = {}
    orientation = 1
    try:
        read_image(pair.image, at_least=_SMALL)
        size = image_size(pair.image)
    except DataError as error:
        problems.append(_unreadable(root, pair.image, error))
    try:
        orientation = mask_orientation(pair.image, pair.mask) if size else 1
        mask = read_mask_values(pair.mask, orientation=orientation)
        counts = np.bincount(mask.ravel())
        values = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
        if size and mask.shape != size:
            height, width = mask.shape
            detail = f"{width} x {height}, the image is {size[1]} x {size[0]}"
            problems.append(Problem("mask of another size", _name(root, pair.mask), detail, True))
    except DataError as error:
        problems.append(_unreadable(root, pair.mask, error))
    height, width = size or (0, 0)
    return _Look(height=height, width=width, orientation=orientation, values=values, problems=tuple(problems))


def _strange_values(root: Path, pairs: Sequence[Pair], looks: Sequence[_Look], labels: Labels) -> dict[str, Problem]:
    """By image name."""
    expected = labels.expected([look.values for look in looks])
    known = _listed(sorted(expected))
    return {
        pair.name: Problem(
            "mask values outside the class list",
            _name(root, pair.mask),
            f"found {_listed(sorted(look.values))}; known {known}",
            True,
        )
        for pair, look in zip(pairs, looks, strict=True)
        if not expected.issuperset(look.values)
    }


def _table(sound: Sequence[tuple[Pair, _Look]]) -> dict[int, ValueCount]:
    table: dict[int, ValueCount] = {}
    for pair, look in sound:
        for value, pixels in look.values.items():
            old = table.get(value, ValueCount(files=0, pixels=0, example=pair.mask))
            table[value] = ValueCount(files=old.files + 1, pixels=old.pixels + pixels, example=old.example)
    return dict(sorted(table.items()))


def _unreadable(root: Path, path: Path, error: DataError) -> Problem:
    return Problem("file that cannot be read", _name(root, path), str(error).removeprefix(f"{path}: "), True)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(str(value) for value in values[:_SHOWN])
    return shown if len(values) <= _SHOWN else f"{shown}, ... {values[-1]}"
