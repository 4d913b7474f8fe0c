"""Builds a trained module from a checkpoint alone, without data, trainer and configuration files."""

from pathlib import Path
from typing import TypeVar

from callbacks.errors import CheckpointError
from experiments.runs.checkpoint import LoadedCheckpoint, load_checkpoint
from experiments.runs.checkpoint_match import load_weights
from experiments.runs.folder import relative_to_here
from experiments.runs.record import as_checkpoint_error, build_from_record
from experiments.tasks.table import TASKS
from lightning_modules.base import ImageTask

Module = TypeVar("Module", bound=ImageTask)


def trained_module(task: str, checkpoint: Path, kind: type[Module]) -> Module:
    """Builds the module of a checkpoint, its weights in it, in eval mode.

    Args:
        task: ``segment``, ``sr`` or ``style``.
        checkpoint: a file of that task.
        kind: the task's module.

    Raises:
        CheckpointError: if the file is of another task, or damaged.
        TypeError: if ``kind`` is not what the task trains.
    """
    module = build_module(load_checkpoint(checkpoint, task))
    if not isinstance(module, kind):
        raise TypeError(f"{type(module).__name__} is no {kind.__name__}")
    return module


def build_module(checkpoint: LoadedCheckpoint, *, trust_config: bool = False) -> ImageTask:
    """Builds the module that a checkpoint's record describes, loads its weights and sets its stage.

    Args:
        checkpoint: the checkpoint.
        trust_config: whether the record may name classes of any package, whose code then runs.

    Returns:
        The module in eval mode, on the CPU.

    Raises:
        CheckpointError: if the record names a class that is not allowed or does not exist, or arguments or weights
            that do not fit it.
    """
    task = TASKS.get(str(checkpoint.record["task"]))
    if task is None:
        raise CheckpointError(
            f"{relative_to_here(checkpoint.path)} is of the unknown task '{checkpoint.record['task']}'"
        )
    spec = task.load()
    kind: type[ImageTask] = spec.module
    settings = checkpoint.record["model"]
    module = build_from_record(kind, settings, checkpoint, links=spec.links, trust_config=trust_config)
    with as_checkpoint_error(checkpoint.path):
        module.set_stage(checkpoint.stage)
    load_weights(module, checkpoint)
    return module.eval()
