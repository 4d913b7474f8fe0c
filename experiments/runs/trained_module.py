"""Loads a trained module from its checkpoint, for scripts."""

from pathlib import Path
from typing import TypeVar

from experiments.cli.arguments import read_arguments
from experiments.cli.log_filter import filter_logs
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from lightning_modules.base import ImageTask

Module = TypeVar("Module", bound=ImageTask)


def trained_module(task: str, checkpoint: Path, kind: type[Module]) -> Module:
    """Returns the module of a checkpoint with its weights loaded, in eval mode.

    Args:
        task: ``segment``, ``sr`` or ``style``.
        checkpoint: a checkpoint of that task.
        kind: class of the module.

    Raises:
        CheckpointError: if the file is of another task, or damaged.
        TypeError: if the task trains another class.
    """
    with filter_logs():
        context = build_context(make_plan(read_arguments(["--task", task, "test", "--ckpt_path", str(checkpoint)])))
    module = context.model.eval()
    if not isinstance(module, kind):
        raise TypeError(f"{type(module).__name__} is no {kind.__name__}")
    return module
