"""Prints and saves what ``validate`` and ``test`` measured."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from callbacks.output_file import output_file
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here


def report(context: RunContext, scores: Mapping[str, float], table: Sequence[Mapping[str, Any]]) -> None:
    """Writes ``<command>.json`` into the run folder and prints the task's table; on rank 0 only.

    Args:
        context: the run.
        scores: metric names and values, as Lightning returns them.
        table: one row per image, the worst first; empty where images were not scored one by one.
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
