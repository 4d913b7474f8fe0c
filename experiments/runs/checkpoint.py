"""A checkpoint as the commands see it: weights, and the record of what made them."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from callbacks.checkpoints.checkpoint_io import find_damage, read_checkpoint
from callbacks.errors import CheckpointError
from datamodules.stage import Stage, stage_index
from experiments.cli.settings import plain_values
from experiments.runs.folder import RunFolder, relative_to_here
from lightning_modules.base import ImageTask

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A checkpoint that was read and belongs to the task.

    Args:
        path: the file.
        weights: the module's state dict.
        record: task, model, data and stages as plain values.
        epoch: the epoch it was saved in or at the end of, counted from 0.
        epochs_done: whole epochs it was trained.
    """

    path: Path
    weights: dict[str, Tensor]
    record: dict[str, Any]
    epoch: int
    epochs_done: int

    @property
    def stages(self) -> list[Stage]:
        """The stages of the run that made it."""
        return [stage_from(plain) for plain in self.record["stages"]]

    @property
    def stage(self) -> Stage:
        """The stage it was saved in."""
        stages = self.stages
        return stages[stage_index(stages, self.epoch)]


def load(path: Path, task: str) -> Loaded:
    """Reads a checkpoint of ``task``.

    Raises:
        CheckpointError: if it is missing, damaged, not of Darkroom, of another format or of another task.
    """
    checkpoint = read_checkpoint(path)
    record = checkpoint.get("darkroom")
    shown = relative_to_here(path)
    if not isinstance(record, dict) or "task" not in record:
        raise CheckpointError(f"{shown} is no checkpoint of Darkroom: it does not say which task and network it is of")
    if record.get("format") != FORMAT:
        raise CheckpointError(
            f"{shown} has format {record.get('format')!r}, this version of Darkroom reads format {FORMAT}"
        )
    if record["task"] != task:
        raise CheckpointError(f"{shown} is of the task '{record['task']}': use --task {record['task']}")
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    return Loaded(
        path=path,
        weights=checkpoint["state_dict"],
        record=record,
        epoch=checkpoint["epoch"],
        epochs_done=progress["processed"],
    )


def describe(task: str, model: ImageTask, config_text: str) -> dict[str, Any]:
    """Makes the description of a run that its checkpoints carry: plain values, so that reading it runs no code."""
    settings = plain_values(config_text)
    return {
        "format": FORMAT,
        "task": task,
        "classes": list(model.classes),
        **{key: settings[key] for key in ("model", "data", "stages")},
    }


def newest_valid(folder: RunFolder) -> Path:
    """Finds the checkpoint to go on from: ``last.ckpt``, or else the one with most steps among those that are whole.

    Steps count, and not the files' times, which tell nothing after a clock was set back or a folder copied.

    Raises:
        CheckpointError: if all of them are damaged.
    """
    last = folder.checkpoints / "last.ckpt"
    if last.exists() and find_damage(last) is None:
        return last
    steps: dict[Path, int] = {}
    skipped: list[str] = []
    for path in folder.checkpoint_files:
        try:
            steps[path] = read_checkpoint(path).get("global_step", 0)
        except CheckpointError:
            skipped.append(f"{relative_to_here(path)} ({find_damage(path) or 'it holds something else'})")
    if not steps:
        raise CheckpointError(f"no checkpoint of {relative_to_here(folder.path)} can be read: {'; '.join(skipped)}")
    chosen = max(steps, key=steps.__getitem__)
    why = f"skipped as damaged: {'; '.join(skipped)}" if skipped else f"there is no {relative_to_here(last)}"
    print(f"{why}. Going on from {relative_to_here(chosen)}, step {steps[chosen]}")
    return chosen


def refuse_other_task(path: Path, task: str) -> None:
    """Refuses a checkpoint of another task to start from; files that Darkroom did not write are not judged.

    Raises:
        CheckpointError: naming its task.
    """
    try:
        record = read_checkpoint(path).get("darkroom")
    except CheckpointError:
        return  # of another kind: whoever takes weights from it says what is wrong
    if isinstance(record, dict) and (found := record.get("task")) not in (None, task):
        raise CheckpointError(
            f"{relative_to_here(path)} is of the task '{found}': a run of {task} cannot start from it"
        )


def stage_from(plain: dict[str, Any]) -> Stage:
    """Makes a stage from plain values, as a checkpoint or YAML holds them."""
    values = {field.name: plain[field.name] for field in fields(Stage) if field.name in plain}
    if isinstance(values.get("lr_scale"), list):
        values["lr_scale"] = tuple(values["lr_scale"])
    return Stage(**values)
