"""``show --image`` and ``--index``: one image with its target, or all images of its group as one sheet."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import Dataset, default_collate

from datamodules.base import length_of
from datamodules.loading.loader import NamedSamples
from datamodules.loading.sampler import Key
from experiments.cli.usage import UsageError
from experiments.runs.context import RunContext

_MAX_IMAGES = 64  # of a sheet


class _Entry(NamedTuple):
    name: str
    split: str
    data: Dataset[dict[str, Any]]
    number: int  # in its data set


def draw_group(context: RunContext, *, image: str | None, index: int | None) -> tuple[str, Tensor, list[str]]:
    """Draws the image that was asked for and all others of its group, not augmented, at the size of the stage.

    Args:
        context: the run, with its data set up.
        image: name or stem of an image.
        index: its number among the training images and then the validation images, from 0.

    Returns:
        The stem of the image, the figure ``(3, H, W)``, and a line for each image.

    Raises:
        UsageError: if there is no such image.
    """
    entries = _entries(context)
    chosen = _by_index(entries, index) if index is not None else _by_name(entries, image or "")
    group = context.datamodule.group_of(chosen.name)
    found = [entry for entry in entries if context.datamodule.group_of(entry.name) == group]
    shown = found[:_MAX_IMAGES]
    batch = default_collate([entry.data[Key(0, entry.number)] for entry in shown])
    note = f"{len(shown)} of {len(found)} images of the group {group}, at {context.stage.size} px, not augmented"
    figures = context.spec.figures(context.model, context.datamodule)
    lines = [f"  {entries.index(entry):5d}  {entry.split:5}  {entry.name}" for entry in shown]
    return PurePosixPath(chosen.name).stem, figures.draw_batch(batch, count=len(shown), note=note), lines


def _entries(context: RunContext) -> list[_Entry]:
    stage, data = replace(context.stage, augment=False, crop=None), context.datamodule  # whole, of one size
    entries = []
    for split, samples in (("train", data.train_set(stage)), ("val", data.val_set(stage))):
        if not isinstance(samples, NamedSamples):
            raise UsageError("--image and --index need a data set whose samples have names")
        entries += [_Entry(samples.name(Key(0, i)), split, samples, i) for i in range(length_of(samples))]
    return entries


def _by_index(entries: Sequence[_Entry], index: int) -> _Entry:
    if not 0 <= index < len(entries):
        raise UsageError(f"--index {index}: there are the images 0 to {len(entries) - 1}")
    return entries[index]


def _by_name(entries: Sequence[_Entry], name: str) -> _Entry:
    stems: dict[str, _Entry] = {}
    for entry in entries:
        path = PurePosixPath(entry.name)
        for known in (path.stem, path.name, path.with_suffix("").as_posix(), entry.name):
            stems.setdefault(known, entry)
    if name not in stems:
        near = difflib.get_close_matches(name, stems, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {len(entries)}, for example '{next(iter(stems))}'"
        raise UsageError(f"--image {name}: no image of the training or validation set has this name; {hint}")
    return stems[name]
