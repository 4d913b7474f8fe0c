"""A trained module for scripts: built from its checkpoint, as the commands do it."""

from pathlib import Path
from typing import TypeVar

from experiments.cli.arguments import read_arguments
from experiments.cli.log_filter import quiet
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
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
    with quiet():
        context = build_context(make_plan(read_arguments(["--task", task, "test", "--ckpt_path", str(checkpoint)])))
    module = context.model.eval()
    if not isinstance(module, kind):
        raise TypeError(f"{type(module).__name__} is no {kind.__name__}")
    return module
