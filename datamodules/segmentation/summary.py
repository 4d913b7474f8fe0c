"""A data set that was found, checked and split, and its summary as text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.cache.encodings import proportional_shape
from datamodules.index.pairs import Pair
from datamodules.index.problems import Problem
from datamodules.index.splits import Split
from datamodules.io.bit_depth import FULL_BITS, depth_notes
from datamodules.segmentation.check import CheckResult
from datamodules.segmentation.class_weights import median_frequency_weights
from datamodules.segmentation.label_map import IGNORE, ClassList
from datamodules.segmentation.samples import Sample
from datamodules.stage import Stage
from datamodules.storage.file_systems import as_given

_MAX_SIZES = 5  # image sizes listed


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """Images and masks by their names, before any file is opened.

    Args:
        pairs: images and masks, sorted.
        groups: group by image name.
        splits: split by image name, if the data defines one; empty, or without ``val``, if groups are to be held out.
        problems: files without a partner and other problems with names.
        notes: lines for the summary, such as the layout that was found.
    """

    pairs: Sequence[Pair]
    groups: Mapping[str, str]
    splits: Mapping[str, Split]
    problems: Sequence[Problem]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class SegmentData:
    """A checked data set with its splits.

    Args:
        root: folder of the data.
        index: all images and masks.
        check: result of the check.
        seconds: duration of the check; ``None`` if the result of an earlier one was read.
        samples: samples by split, after ``keep_pct``; without a test split, ``test`` has the samples of ``val``.
        bits: bits by which 16-bit images are read.
    """

    root: Path
    index: DatasetIndex
    check: CheckResult
    seconds: float | None
    samples: Mapping[Split, Sequence[Sample]]
    bits: int = FULL_BITS


def summary_lines(data: SegmentData, classes: ClassList) -> list[str]:
    """Lines with the number of images, their split, their sizes and the values of their masks."""
    took = "unchanged since it was checked" if data.seconds is None else f"checked in {data.seconds:.1f} s"
    groups = len(set(data.index.groups.values()))
    grouped = f" in {_groups(groups)}" if groups < len(data.index.pairs) else ""
    return [
        f"data: {as_given(data.root)}: {len(data.index.pairs)} images with masks{grouped}, {took}",
        "  split: " + ", ".join(_splits(data)),
        "  sizes: " + ", ".join(_sizes(data.check.sizes)),
        "  mask values: " + ", ".join(_values(data.check, classes)),
        *_weights(data, classes),
        *data.index.notes,
        *data.check.notes,
        *depth_notes(data.check.largest.values(), data.bits),
        *_one_sided_classes(data, classes),
    ]


def class_weights(data: SegmentData, *, classes: int) -> list[float]:
    """Weight of each class by median frequency over the training masks."""
    mapping, masks = data.check.mapping, []
    for sample in data.samples["train"]:
        mask: Counter[int] = Counter()
        for value, pixels in data.check.masks[sample.name].items():
            mask[mapping[value]] += pixels
        masks.append(mask)
    return median_frequency_weights(masks, classes=classes)


def crop_notes(samples: Sequence[Sample], stages: Sequence[Stage]) -> list[str]:
    """A line for each stage whose crops are larger than some training images."""
    lines = []
    for stage in stages:
        if stage.crop is not None:
            shapes = [proportional_shape(*sample.shape, stage.size) for sample in samples]
            if small := sum(min(shape) < stage.crop for shape in shapes):
                lines.append(
                    f"  stage {stage.name}: {small} of {len(samples)} training images are smaller than the crop of "
                    f"{stage.crop} px: they are padded, and the padding is ignored"
                )
    return lines


def _one_sided_classes(data: SegmentData, classes: ClassList) -> list[str]:
    """Lines about classes that occur in the training masks or in the validation masks alone."""
    names = ("background", *classes.names) if classes.one_class else classes.names
    train, val = _classes(data, "train"), _classes(data, "val")
    lines: list[str] = []
    if data.samples["train"] and (missing := sorted(train - val)):
        lines.append(
            f"  CLASSES IN NO VALIDATION MASK: {', '.join(names[number] for number in missing)}; they are trained, but "
            "not measured. Another --data.split_seed or a larger --data.val_share may help"
        )
    if data.samples["train"] and (missing := sorted(val - train)):
        lines.append(
            f"  CLASSES IN NO TRAINING MASK: {', '.join(names[number] for number in missing)}; the network cannot "
            "learn them"
        )
    return lines


def _classes(data: SegmentData, split: Split) -> set[int]:
    values = {value for sample in data.samples[split] for value in data.check.masks[sample.name]}
    return {data.check.mapping[value] for value in values} - {IGNORE}


def _splits(data: SegmentData) -> list[str]:
    lines: list[str] = []
    for split, samples in data.samples.items():
        groups = {data.index.groups[sample.name] for sample in samples}
        grouped = f" ({_groups(len(groups))})" if len(groups) < len(samples) else ""
        same = split == "test" and samples == data.samples["val"]
        lines.append("test as val" if same else f"{split} {len(samples)}{grouped}")
    return lines


def _groups(count: int) -> str:
    return f"{count} group" if count == 1 else f"{count} groups"


def _sizes(sizes: Mapping[str, int]) -> list[str]:
    by_count = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{size} ({count})" for size, count in by_count[:_MAX_SIZES]]
    return shown if len(by_count) <= _MAX_SIZES else [*shown, f"{len(by_count) - _MAX_SIZES} others"]


def _weights(data: SegmentData, classes: ClassList) -> list[str]:
    if classes.one_class or not data.samples["train"]:
        return []
    weights = class_weights(data, classes=len(classes.names))
    named = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(classes.names, weights, strict=True))
    return [f"  class weights by median frequency (--model.class_weights auto): {named}"]


def _values(check: CheckResult, classes: ClassList) -> list[str]:
    names = ("background", *classes.names) if classes.one_class else classes.names
    total = sum(check.values.values())
    meaning = {value: names[number] if number < len(names) else "ignored" for value, number in check.mapping.items()}
    return [f"{value} = {meaning[value]} {pixels / total:.1%}" for value, pixels in check.values.items()]
