"""Checks every image and mask of a data set once, before the first step, and reports all problems together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datamodules.cache.file_results import FileResults, Stored, map_unknown
from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import OnBad, Problem, raise_or_skip
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.pair_check import PairCheck, check_pair, load_check
from datamodules.segmentation.set_checks import (
    absent_classes,
    count_pixels,
    frame_notes,
    mask_orientations,
    palette_conflicts,
    unknown_values,
    value_advice,
)

ADVICE = "Correct or remove these files, then run again; nothing was trained."


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a usable data set holds.

    Args:
        values: pixels by stored mask value, over all masks.
        mapping: class number by stored mask value; 255 where it is ignored.
        sizes: number of images by ``"width x height"`` as displayed.
        shapes: height and width of each image as displayed, by its name.
        masks: pixels by stored value, for each mask, by the name of its image.
        orientations: EXIF orientation with which a mask is turned, by image name; 1 is left out.
        largest: largest stored value of each image of 16 bits, by its name.
        bad: why an image is left out, by its name; empty unless ``on_bad`` is ``"skip"``.
        notes: lines for the summary about what may be unexpected, such as masks that are turned.
    """

    values: Mapping[int, int]
    mapping: Mapping[int, int]
    sizes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, int]]
    masks: Mapping[str, Mapping[int, int]]
    orientations: Mapping[str, int]
    largest: Mapping[str, int]
    bad: Mapping[str, str]
    notes: Sequence[str]


def stored_result(stored: Any) -> CheckResult | None:
    """The result of an earlier check from its JSON; ``None`` if there is none or it is damaged."""
    try:
        return CheckResult(
            values={int(value): int(pixels) for value, pixels in stored["values"].items()},
            mapping={int(value): int(number) for value, number in stored["mapping"].items()},
            sizes=stored["sizes"],
            shapes={name: (int(height), int(width)) for name, (height, width) in stored["shapes"].items()},
            masks={
                name: {int(value): int(pixels) for value, pixels in mask.items()}
                for name, mask in stored["masks"].items()
            },
            orientations=stored["orientations"],
            largest={name: int(value) for name, value in stored["largest"].items()},
            bad=stored["bad"],
            notes=stored["notes"],
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def check_pairs(
    root: Path,
    pairs: Sequence[Pair],
    classes: ClassList,
    *,
    layout: BandLayout | None = None,
    found: Sequence[Problem] = (),
    on_bad: OnBad = "error",
    bits: int = FULL_BITS,
    stored: Stored | None = None,
    workers: int,
) -> CheckResult:
    """Decodes every image and mask in parallel, and checks sizes, mask values, classes and palettes.

    Args:
        root: the data's root, for names.
        pairs: the images and masks.
        classes: the class list.
        layout: channels of the images; ``None`` for RGB images.
        found: problems that are known already, reported together with those found here.
        on_bad: whether images that cannot be used, up to one in a hundred, are left out.
        bits: bits that 16-bit RGB images may use.
        stored: results of single pairs that shards have stored.
        workers: number of processes.

    Raises:
        DataError: names the first twenty problems and counts all.
    """
    outcomes = decode_pairs(root, pairs, layout=layout, bits=bits, stored=stored or {}, workers=workers)
    checks = [check for check in outcomes if not isinstance(check, DataError)]
    checked = list(zip(pairs, checks, strict=True))
    unknown = unknown_values(root, checked, classes)
    advice = ADVICE
    if unknown:
        advice += value_advice(
            (value for pair, check in checked if pair.name in unknown for value in check.values), classes
        )
    bad: dict[str, list[Problem]] = {}
    for pair, check in checked:
        wrong = [*check.problems, *([unknown[pair.name]] if pair.name in unknown else [])]
        if wrong:
            bad[pair.name] = wrong
    palettes = palette_conflicts(root, checked)
    problems = sorted([*found, *palettes, *(problem for wrong in bad.values() for problem in wrong)])
    unpaired = sum(problem.skippable for problem in found)
    raise_or_skip(root, problems, advice, on_bad=on_bad, total=len(pairs) + unpaired)
    usable = [(pair, check) for pair, check in checked if pair.name not in bad]
    pixels, examples = count_pixels(usable)
    try:
        label_map = classes.label_map(examples)
        absent = absent_classes(classes, label_map, pixels)
    except DataError as error:
        raise DataError(f"the data in {root} cannot be used: {error}") from error
    orientations, turned = mask_orientations(usable)
    return CheckResult(
        values=pixels,
        mapping=label_map.classes,
        sizes=dict(Counter(f"{check.width} x {check.height}" for _, check in usable)),
        shapes={pair.name: (check.height, check.width) for pair, check in usable},
        masks={pair.name: dict(check.values) for pair, check in usable},
        orientations=orientations,
        largest={pair.name: check.largest for pair, check in usable if check.largest is not None},
        bad={name: "; ".join(str(problem) for problem in wrong) for name, wrong in bad.items()},
        notes=[*absent, *turned, *frame_notes(usable)],
    )


def decode_pairs(
    root: Path, pairs: Sequence[Pair], *, layout: BandLayout | None, bits: int, stored: Stored, workers: int
) -> list[PairCheck | DataError]:
    """Decodes every image and mask in parallel, except pairs whose result a shard has stored."""
    return map_unknown(
        partial(check_pair, root, layout, bits=bits),
        pairs,
        names=[pair.name for pair in pairs],
        files=partial(pair_files, layout),
        stored=stored,
        load=load_check,
        workers=workers,
        title="checking images and masks",
    )


def pair_results(results: Path, root: Path, *, layout: BandLayout | None, bits: int) -> FileResults:
    """Where shards store the results of single pairs."""
    return FileResults(results, root, about=f"pairs {layout} {bits} bits")


def pair_files(layout: BandLayout | None, pair: Pair) -> tuple[Path, ...]:
    """All files of an image and its mask."""
    images = (pair.image,) if layout is None else layout.files(pair.image)
    return (*images, pair.mask)
