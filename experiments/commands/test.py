"""``test``: measures a checkpoint on the held-out images, as results are judged."""

from jsonargparse import ArgumentParser

from experiments.cli.parser import DarkroomCLI
from experiments.tasks.report import report


def add_arguments(parser: ArgumentParser) -> None:
    """Adds nothing."""


def run(cli: DarkroomCLI) -> int:
    """Measures, prints and writes the scores, image by image too."""
    (scores,) = cli.trainer.test(cli.model, datamodule=cli.datamodule)
    report(cli, scores, cli.model.test_table)
    return 0
