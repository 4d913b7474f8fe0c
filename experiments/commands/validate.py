"""``validate``: measures a checkpoint on the validation images, at the size it trained with."""

from jsonargparse import ArgumentParser

from experiments.cli.parser import DarkroomCLI
from experiments.tasks.report import report


def add_arguments(parser: ArgumentParser) -> None:
    """Adds nothing."""


def run(cli: DarkroomCLI) -> int:
    """Measures, prints and writes the scores."""
    (scores,) = cli.trainer.validate(cli.model, datamodule=cli.datamodule)
    report(cli, scores)
    return 0
