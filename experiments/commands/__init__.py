"""The subcommands: one file each, and the one table of them.

A command's module has ``add_arguments(parser)`` for options of its own and ``run(context)``, which returns the exit
code. Modules are imported when their command runs, so that help and mistakes of spelling are answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # torch takes seconds to import; a mistake of spelling must not
    from jsonargparse import ArgumentParser

    from experiments.runs.context import RunContext


class CommandModule(Protocol):
    """What a command's file holds."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Adds options of the command's own."""
        ...

    def run(self, context: RunContext) -> int:
        """Does the work and gives the exit code."""
        ...


class Needs(Enum):
    """What a command needs of a trained network."""

    NOTHING = "nothing"
    CHECKPOINT = "checkpoint"  # the best of the newest run where none is named
    CHECKPOINT_IF_NAMED = "checkpoint if named"  # by --ckpt_path, or by --name of a run that has one


@dataclass(frozen=True, kw_only=True)
class Command:
    """A row of the table.

    Args:
        module: where the command lives.
        summary: its line in the help.
        needs: what it needs of a trained network.
    """

    module: str
    summary: str
    needs: Needs = Needs.NOTHING


COMMANDS = {
    "fit": Command(module="experiments.commands.fit", summary="train (what happens when no command is named)"),
    "validate": Command(
        module="experiments.commands.validate",
        summary="measure a checkpoint on the validation images, at the size it trained with",
        needs=Needs.CHECKPOINT,
    ),
    "test": Command(
        module="experiments.commands.test",
        summary="measure a checkpoint on the held-out images, as results are judged",
        needs=Needs.CHECKPOINT,
    ),
    "predict": Command(
        module="experiments.commands.predict",
        summary="apply a checkpoint to your images and write the results",
        needs=Needs.CHECKPOINT,
    ),
    "gatys": Command(
        module="experiments.commands.gatys",
        summary="style: repaint one image without training, by optimising its pixels (slow, the yardstick)",
        needs=Needs.CHECKPOINT_IF_NAMED,
    ),
    "lr-find": Command(module="experiments.commands.lr_find", summary="look for a good learning rate and draw it"),
    "prepare": Command(module="experiments.commands.prepare", summary="check the data and fill its cache"),
    "show": Command(
        module="experiments.commands.show",
        summary="draw augmented batches, and a checkpoint's best and worst results",
        needs=Needs.CHECKPOINT_IF_NAMED,
    ),
}
