"""The table of subcommands.

The module of a command has ``run(context)``, which returns the exit code, and may have ``add_arguments(parser)`` for
options of its own. It is imported when its command runs: help and misspelled options are answered without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most import torch, which takes seconds
    from argparse import Namespace
    from collections.abc import Sequence

    from jsonargparse import ArgumentParser

    from experiments.runs.context import RunContext


class Needs(Enum):
    """Whether a command needs a checkpoint."""

    NOTHING = "nothing"
    CHECKPOINT = "checkpoint"  # best.ckpt of the newest run unless one is named
    RUNS = "runs"  # its first word names a run, whose best.ckpt it uses
    CHECKPOINT_IF_NAMED = "checkpoint if named"  # by --ckpt_path, or by --name of a run that has one


@dataclass(frozen=True, kw_only=True)
class Command:
    """A row of the table.

    Args:
        module: import path of the command's module.
        summary: its line in the help.
        needs: whether it needs a checkpoint.
        standalone: whether it needs neither data nor network: its module has ``run_standalone(task_name)``, which
            imports no torch, and ``--task`` may be left out.
        task: the only task it belongs to; its module has ``run_words(options, words)``, which imports no torch and
            reads all other words itself.
    """

    module: str
    summary: str
    needs: Needs = Needs.NOTHING
    standalone: bool = False
    task: str | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Adds the command's own options, if it has any."""
        module = import_module(self.module)
        if hasattr(module, "add_arguments"):
            module.add_arguments(parser)

    def run_standalone(self, task_name: str | None) -> int:
        """Runs a standalone command and returns the exit code."""
        return int(import_module(self.module).run_standalone(task_name))

    def run_words(self, options: Namespace, words: Sequence[str]) -> int:
        """Runs a command that reads its words itself and returns the exit code."""
        return int(import_module(self.module).run_words(options, words))

    def run(self, context: RunContext) -> int:
        """Runs the command and returns the exit code."""
        return int(import_module(self.module).run(context))


COMMANDS = {
    "fit": Command(module="experiments.commands.fit", summary="train; the default when no command is named"),
    "validate": Command(
        module="experiments.commands.evaluate",
        summary="evaluate a checkpoint on the validation images, at the size of its stage",
        needs=Needs.CHECKPOINT,
    ),
    "test": Command(
        module="experiments.commands.evaluate",
        summary="evaluate a checkpoint on the test images, with the metrics that are published",
        needs=Needs.CHECKPOINT,
    ),
    "predict": Command(
        module="experiments.commands.predict",
        summary="apply a checkpoint to your images and write the results",
        needs=Needs.CHECKPOINT,
    ),
    "compare": Command(
        module="experiments.commands.compare",
        summary="compare runs: settings that differ, scores, time, and the same images side by side",
        needs=Needs.RUNS,
    ),
    "export": Command(
        module="experiments.commands.export",
        summary="write a checkpoint as ONNX, torch.export program, safetensors or web page, to use it without Darkroom",
        needs=Needs.CHECKPOINT,
    ),
    "gatys": Command(
        module="experiments.commands.gatys",
        summary="style: stylize one image by optimizing its pixels, without a network (slow; the reference)",
        needs=Needs.CHECKPOINT_IF_NAMED,
    ),
    "label": Command(
        module="experiments.commands.label",
        summary="segment: draw masks in the browser, with a network that learns from them (label FOLDER)",
        task="segment",
    ),
    "lr-find": Command(module="experiments.commands.lr_find", summary="find a learning rate and plot the loss over it"),
    "nets": Command(
        module="experiments.commands.nets",
        summary="list the trained networks that ship with Darkroom",
        standalone=True,
    ),
    "prepare": Command(module="experiments.commands.prepare", summary="check the data and fill the cache"),
    "show": Command(
        module="experiments.commands.show",
        summary="draw augmented batches, and the best and worst results of a checkpoint",
        needs=Needs.CHECKPOINT_IF_NAMED,
    ),
}
