"""``test``: measures a checkpoint on the held-out images, as results are judged."""

from jsonargparse import ArgumentParser

from experiments.runs.context import RunContext
from experiments.tasks.report import report


def add_arguments(parser: ArgumentParser) -> None:
    """Adds nothing."""


def run(context: RunContext) -> int:
    """Measures, prints and writes the scores, image by image too."""
    (scores,) = context.trainer.test(context.model, datamodule=context.datamodule)
    report(context, scores, context.model.test_table)
    return 0
