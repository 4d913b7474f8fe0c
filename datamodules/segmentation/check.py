"""Checks every image and mask of a data set once, before the first step, and reports all problems together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import OnBad, Problem, raise_or_skip
from datamodules.io.image import image_size, read_image
from datamodules.loading.parallel import map_files
from datamodules.segmentation.label_map import ClassList, count_values, list_values
from datamodules.segmentation.mask_io import Color, mask_orientation, read_stored_mask

_MIN_SIDE = 64  # JPEGs are decoded at a fraction, ten times faster; the whole file is read all the same

ADVICE = "Correct or remove these files, then run again; nothing was trained."
SOFT_EDGES = " If the masks have soft edges, set mask_threshold (for example 128)."


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a usable data set holds.

    Args:
        values: pixels by stored mask value, over all masks.
        mapping: class number by stored mask value; 255 where it is ignored.
        sizes: number of images by ``"width x height"`` as displayed.
        orientations: EXIF orientation with which a mask is turned, by image name; 1 is left out.
        bad: why an image is left out, by its name; empty unless ``on_bad`` is ``"skip"``.
    """

    values: Mapping[int, int]
    mapping: Mapping[int, int]
    sizes: Mapping[str, int]
    orientations: Mapping[str, int]
    bad: Mapping[str, str]


def stored_result(stored: Any) -> CheckResult | None:
    """The result of an earlier check from its JSON; ``None`` if there is none or it is damaged."""
    try:
        return CheckResult(
            values={int(value): int(pixels) for value, pixels in stored["values"].items()},
            mapping={int(value): int(number) for value, number in stored["mapping"].items()},
            sizes=stored["sizes"],
            orientations=stored["orientations"],
            bad=stored["bad"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_pairs(
    root: Path,
    pairs: Sequence[Pair],
    classes: ClassList,
    *,
    found: Sequence[Problem] = (),
    on_bad: OnBad = "error",
    workers: int,
) -> CheckResult:
    """Decodes every image and mask in parallel, and checks sizes, mask values and palettes.

    Args:
        root: the data's root, for names.
        pairs: the images and masks.
        classes: the class list.
        found: problems that are known already, reported together with those found here.
        on_bad: whether images that cannot be used, up to one in a hundred, are left out.
        workers: number of processes.

    Raises:
        DataError: names the first twenty problems and counts all.
    """
    outcomes = map_files(partial(_check_pair, root), pairs, workers=workers, title="checking images and masks")
    checks = [check for check in outcomes if not isinstance(check, DataError)]
    unknown = _unknown_values(root, pairs, checks, classes)
    soft = SOFT_EDGES if unknown and classes.one_class and classes.threshold is None else ""
    bad: dict[str, list[Problem]] = {}
    for pair, check in zip(pairs, checks, strict=True):
        wrong = [*check.problems, *([unknown[pair.name]] if pair.name in unknown else [])]
        if wrong:
            bad[pair.name] = wrong
    palettes = _palette_conflicts(root, pairs, checks)
    problems = sorted([*found, *palettes, *(problem for wrong in bad.values() for problem in wrong)])
    unpaired = sum(problem.skippable for problem in found)
    raise_or_skip(root, problems, ADVICE + soft, on_bad=on_bad, total=len(pairs) + unpaired)
    usable = [(pair, check) for pair, check in zip(pairs, checks, strict=True) if pair.name not in bad]
    pixels, examples = _count_pixels(usable)
    try:
        label_map = classes.label_map(examples)
    except DataError as error:
        raise DataError(f"the data in {root} cannot be used: {error}") from error
    return CheckResult(
        values=pixels,
        mapping=label_map.classes,
        sizes=dict(Counter(f"{check.width} x {check.height}" for _, check in usable)),
        orientations={pair.name: check.orientation for pair, check in usable if check.orientation != 1},
        bad={name: "; ".join(str(problem) for problem in wrong) for name, wrong in bad.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _PairCheck:
    """What one pair holds. For a file that cannot be read, only ``problems`` is set."""

    height: int = 0
    width: int = 0
    orientation: int = 1
    values: Mapping[int, int]
    colors: Mapping[int, Color]  # palette color by value, for the values that occur; empty without a palette
    problems: tuple[Problem, ...]


def _check_pair(root: Path, pair: Pair) -> _PairCheck:
    problems: list[Problem] = []
    size: tuple[int, int] | None = None
    values: Mapping[int, int] = {}
    colors: Mapping[int, Color] = {}
    orientation = 1
    try:
        read_image(pair.image, min_side=_MIN_SIDE)
        size = image_size(pair.image)
    except DataError as error:
        problems.append(_unreadable(root, pair.image, error))
    try:
        orientation = mask_orientation(pair.image, pair.mask) if size else 1
        mask, palette = read_stored_mask(pair.mask, orientation=orientation)
        values = count_values(mask)
        colors = {value: palette[value] for value in values if value < len(palette)}
        if size and mask.shape != size:
            height, width = mask.shape
            detail = f"{width} x {height}, the image is {size[1]} x {size[0]}"
            problems.append(Problem("mask of another size", _name(root, pair.mask), detail, True))
    except DataError as error:
        problems.append(_unreadable(root, pair.mask, error))
    height, width = size or (0, 0)
    return _PairCheck(
        height=height, width=width, orientation=orientation, values=values, colors=colors, problems=tuple(problems)
    )


def _unknown_values(
    root: Path, pairs: Sequence[Pair], checks: Sequence[_PairCheck], classes: ClassList
) -> dict[str, Problem]:
    """Masks with values outside the class list, by image name."""
    expected = classes.expected_values([check.values for check in checks])
    known = list_values(sorted(expected))
    return {
        pair.name: Problem(
            "mask values outside the class list",
            _name(root, pair.mask),
            f"found {list_values(sorted(check.values))}; known {known}",
            True,
        )
        for pair, check in zip(pairs, checks, strict=True)
        if not expected.issuperset(check.values)
    }


def _palette_conflicts(root: Path, pairs: Sequence[Pair], checks: Sequence[_PairCheck]) -> list[Problem]:
    """Masks whose palette gives an index another color than an earlier mask: their indices are not class numbers.

    GIF writers and programs that reduce colors number the colors of every file anew.
    """
    first: dict[int, tuple[Color, str]] = {}
    problems: list[Problem] = []
    for pair, check in zip(pairs, checks, strict=True):
        name = _name(root, pair.mask)
        for index, color in check.colors.items():
            known, example = first.setdefault(index, (color, name))
            if known != color:
                detail = (
                    f"index {index} is the color {known} in {example} but {color} here, so indices are not class "
                    f"numbers; save the masks as gray PNG files that hold the numbers"
                )
                problems.append(Problem("palette that numbers its colors differently", name, detail))
                break
    return problems


def _count_pixels(usable: Sequence[tuple[Pair, _PairCheck]]) -> tuple[dict[int, int], dict[int, Path]]:
    """Pixels by value over all masks, and the first mask that holds each value."""
    pixels: Counter[int] = Counter()
    examples: dict[int, Path] = {}
    for pair, check in usable:
        pixels.update(check.values)
        for value in check.values:
            examples.setdefault(value, pair.mask)
    return dict(sorted(pixels.items())), examples


def _unreadable(root: Path, path: Path, error: DataError) -> Problem:
    return Problem("file that cannot be read", _name(root, path), str(error).removeprefix(f"{path}: "), True)


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
