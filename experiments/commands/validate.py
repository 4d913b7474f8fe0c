"""``validate``: measures a checkpoint on the validation images, at the size it trained with."""

from jsonargparse import ArgumentParser

from experiments.runs.context import RunContext
from experiments.tasks.report import report


def add_arguments(parser: ArgumentParser) -> None:
    """Adds nothing."""


def run(context: RunContext) -> int:
    """Measures, prints and writes the scores."""
    (scores,) = context.trainer.validate(context.model, datamodule=context.datamodule)
    report(context, scores)
    return 0
