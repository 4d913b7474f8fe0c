"""Checks of a whole set of pairs: mask values, palettes, classes, EXIF orientation and pages."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.index.pairs import Pair, name_below
from datamodules.index.problems import Problem
from datamodules.segmentation.label_map import FOREGROUND, IGNORE, ClassList, LabelMap, list_values
from datamodules.segmentation.mask_io import Color
from datamodules.segmentation.pair_check import PairCheck

Checked = Sequence[tuple[Pair, PairCheck]]


def unknown_values(root: Path, checked: Checked, classes: ClassList) -> dict[str, Problem]:
    """Masks with values outside the class list, by image name."""
    expected = classes.expected_values([check.values for _, check in checked])
    known = list_values(sorted(expected))
    return {
        pair.name: Problem(
            "mask values outside the class list",
            name_below(root, pair.mask),
            f"found {list_values(sorted(check.values))}; known {known}",
            True,
        )
        for pair, check in checked
        if not expected.issuperset(check.values)
    }


def value_advice(values: Iterable[int], classes: ClassList) -> str:
    """How to read masks whose values are not those of the class list; empty if there is nothing to suggest."""
    found = sorted(set(values))
    if not classes.one_class:
        name, objects = classes.names[-1], [value for value in found if value not in (0, classes.ignore)]
        if len(classes.names) != 2 or len(objects) != 1:
            return ""
        threshold = "" if objects[0] in FOREGROUND else f" --data.mask_threshold {objects[0]}"
        return f" If {objects[0]} is '{name}', give that one class: --data.classes [{name}]{threshold}."
    if classes.threshold is not None:
        return ""
    if found[-1] < 64:
        return f" If the values are classes, name them all with --data.classes (values up to {found[-1]} were found)."
    return f" If the masks have soft edges, set mask_threshold (for example {(found[-1] + 1) // 2})."


def palette_conflicts(root: Path, checked: Checked) -> list[Problem]:
    """Masks whose palette gives an index another color than an earlier mask: their indices are not class numbers.

    GIF writers and programs that reduce colors number the colors of every file anew.
    """
    first: dict[int, tuple[Color, str]] = {}
    problems: list[Problem] = []
    for pair, check in checked:
        name = name_below(root, pair.mask)
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


def count_pixels(checked: Checked) -> tuple[dict[int, int], dict[int, Path]]:
    """Pixels by value over all masks, and the first mask that holds each value."""
    pixels: Counter[int] = Counter()
    examples: dict[int, Path] = {}
    for pair, check in checked:
        pixels.update(check.values)
        for value in check.values:
            examples.setdefault(value, pair.mask)
    return dict(sorted(pixels.items())), examples


def absent_classes(classes: ClassList, label_map: LabelMap, values: Mapping[int, int]) -> list[str]:
    """A line for the summary if classes occur in no mask: their scores mean nothing.

    Raises:
        DataError: if all pixels that count are of one class.
    """
    names = ("background", *classes.names) if classes.one_class else classes.names
    present = {label_map.classes[value] for value in values} - {IGNORE}
    absent = [name for number, name in enumerate(names) if number not in present]
    if classes.one_class and absent == ["background"]:
        return [f"  EVERY PIXEL OF ALL MASKS IS '{classes.names[0]}': there is no background to tell it from"]
    if len(present) > 1 or not values:
        return [f"  CLASSES IN NO MASK: {', '.join(absent)}; their scores mean nothing"] if absent else []
    found = list_values(values)
    if classes.threshold is not None:
        raise DataError(
            f"no mask holds '{classes.names[0]}': the largest value is {max(values)}, below mask_threshold "
            f"{classes.threshold}; leave mask_threshold out for masks of 0 and 1, or of 0 and 255, or lower it"
        )
    ignored = f", of which {classes.ignore} is ignored" if classes.ignore in values else ""
    hint = (
        f"; if {classes.ignore} is the object, give that one class and no ignore: --data.classes [{classes.names[-1]}]"
        if ignored and len(classes.names) == 2
        else ""
    )
    raise DataError(
        f"no mask holds {' or '.join(repr(name) for name in absent)}: the masks hold the values {found}{ignored}{hint}"
    )


def mask_orientations(checked: Checked) -> tuple[dict[str, int], list[str]]:
    """Decides which masks are turned with the EXIF orientation of their images.

    Where the sizes of image and mask do not tell (half turns, mirrors, squares), the masks of the set for which they
    do decide by majority. Without any, a mask is taken to be stored like its image.

    Returns:
        Orientation by image name, without those that are 1, and lines for the summary.
    """
    votes = Counter(check.drawn_on for _, check in checked)
    stored = votes["stored"] >= votes["displayed"]
    orientations = {
        pair.name: check.orientation
        for pair, check in checked
        if check.drawn_on == "stored" or (check.drawn_on == "unknown" and stored)
    }
    lines: list[str] = []
    if orientations:
        counts = ", ".join(f"{number}: {count}" for number, count in sorted(Counter(orientations.values()).items()))
        example = next(iter(orientations))
        lines.append(
            f"  EXIF: the masks of {len(orientations)} images were turned with them (orientation {counts}), "
            f"such as {example}"
        )
    if votes["unknown"]:
        count, example = votes["unknown"], next(pair.name for pair, check in checked if check.drawn_on == "unknown")
        subject = f"  EXIF: sizes do not tell whether {count} masks were drawn upright, such as that of {example}: "
        if votes["stored"] or votes["displayed"]:
            lines.append(
                f"{subject}{'turned' if stored else 'not turned'}, like most of the masks whose sizes do tell "
                f"({votes['displayed']} upright, {votes['stored']} as stored)"
            )
        else:
            lines.append(f"{subject}turned with their images; if that is wrong, save the images without EXIF rotation")
    return orientations, lines


def frame_notes(checked: Checked) -> list[str]:
    """A line for the summary if images have several pages or frames, of which only the first is read."""
    several = [(pair.name, check.frames) for pair, check in checked if check.frames > 1]
    if not several:
        return []
    name, frames = several[0]
    return [f"  ONLY THE FIRST PAGE is read of {len(several)} images, such as {name} ({frames} pages or frames)"]
