"""A data set that is found, checked and split, and what a person wants to know about it before a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.index.pairs import Pair
from datamodules.index.problems import Problem
from datamodules.index.splits import Split
from datamodules.segmentation.check import Facts
from datamodules.segmentation.dataset import Sample
from datamodules.segmentation.labels import Labels

_SIZES = 5  # spelt out


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies on disk, before an image was opened.

    Args:
        pairs: images and masks, sorted.
        groups: group by image name.
        splits: split by image name, where the data says so itself; empty where groups are to be held out.
        problems: what is wrong with the names.
    """

    pairs: Sequence[Pair]
    groups: Mapping[str, str]
    splits: Mapping[str, Split]
    problems: Sequence[Problem]


@dataclass(frozen=True, kw_only=True)
class SegmentData:
    """A data set ready to be trained on.

    Args:
        root: its folder.
        found: all its images.
        facts: what they hold.
        seconds: the check took; ``None`` when an earlier one was remembered.
        samples: of each split, after ``keep_pct``; those of ``test`` are those of ``val`` where there are no others.
    """

    root: Path
    found: Found
    facts: Facts
    seconds: float | None
    samples: Mapping[Split, Sequence[Sample]]


def describe(data: SegmentData, labels: Labels) -> list[str]:
    """Says how many images there are, how they are split, how large they are and what their masks hold."""
    took = "unchanged since it was checked" if data.seconds is None else f"checked in {data.seconds:.1f} s"
    groups = len(set(data.found.groups.values()))
    grouped = f" in {_groups(groups)}" if groups < len(data.found.pairs) else ""
    return [
        f"data: {data.root}: {len(data.found.pairs)} images with masks{grouped}, {took}",
        "  split: " + ", ".join(_splits(data)),
        "  sizes: " + ", ".join(_sizes(data.facts.sizes)),
        "  mask values: " + ", ".join(_values(data.facts, labels)),
    ]


def _splits(data: SegmentData) -> list[str]:
    lines: list[str] = []
    for split, samples in data.samples.items():
        groups = {data.found.groups[sample.name] for sample in samples}
        grouped = f" ({_groups(len(groups))})" if len(groups) < len(samples) else ""
        same = split == "test" and samples == data.samples["val"]
        lines.append("test as val" if same else f"{split} {len(samples)}{grouped}")
    return lines


def _groups(count: int) -> str:
    return f"{count} group" if count == 1 else f"{count} groups"


def _sizes(sizes: Mapping[str, int]) -> list[str]:
    by_count = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{size} ({count})" for size, count in by_count[:_SIZES]]
    return shown if len(by_count) <= _SIZES else [*shown, f"{len(by_count) - _SIZES} others"]


def _values(facts: Facts, labels: Labels) -> list[str]:
    names = ("background", *labels.names) if labels.one_class else labels.names
    total = sum(facts.values.values())
    meaning = {value: names[number] if number < len(names) else "ignored" for value, number in facts.mapping.items()}
    return [f"{value} = {meaning[value]} {pixels / total:.1%}" for value, pixels in facts.values.items()]
