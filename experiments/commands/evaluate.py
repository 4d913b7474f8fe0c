"""``validate`` and ``test``: evaluate a checkpoint on the validation images or the test images."""

from experiments.runs.context import RunContext
from experiments.runs.report import report


def run(context: RunContext) -> int:
    """Prints the scores and writes them into the run's folder; ``test`` also reports every image.

    ``validate`` uses the size of the checkpoint's stage.
    """
    if context.command == "test":
        (scores,) = context.trainer.test(context.model, datamodule=context.datamodule)
        table = context.model.test_table
    else:
        (scores,) = context.trainer.validate(context.model, datamodule=context.datamodule)
        table = []
    report(context, scores, table)
    return 0
