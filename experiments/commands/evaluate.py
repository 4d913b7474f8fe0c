"""``validate`` and ``test``: evaluate a checkpoint on the validation images or the test images."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from callbacks.output_file import output_file
from experiments.commands.bit_depth import report_bits
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here


def run(context: RunContext) -> int:
    """Prints the scores and writes them into the run's folder; ``test`` also reports every image.

    ``validate`` uses the size of the checkpoint's stage.
    """
    if context.command == "test":
        (scores,) = context.trainer.test(context.model, datamodule=context.datamodule)
        write_scores(context, scores, context.model.test_table)
    else:
        (scores,) = context.trainer.validate(context.model, datamodule=context.datamodule)
        write_scores(context, scores, [])
    report_bits(context)
    return 0


def write_scores(context: RunContext, scores: Mapping[str, float], table: Sequence[Mapping[str, Any]]) -> None:
    """Writes ``<command>.json`` into the run's folder and prints the table of the task; on rank 0 only.

    Args:
        context: the run.
        scores: metric names and values, as Lightning returns them.
        table: one row per image, the worst first; empty if images were not scored one by one.
    """
    checkpoint, size = context.checkpoint, context.stage.size
    if checkpoint is None or not context.trainer.is_global_zero:
        return
    path = context.folder.path / f"{context.command}.json"
    content = {"checkpoint": checkpoint.path.name, "size": size, "scores": dict(scores), "images": table}
    with output_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())
    for line in context.spec.table_lines(table):
        print(line)
    print(f"measured {relative_to_here(checkpoint.path)} at {size} px; all scores: {relative_to_here(path)}")
