"""What ``validate`` and ``test`` measured, on the screen and in a file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from callbacks.output_file import output_file
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here

SHOWN = 5
SHOWN_IMAGES = 100  # as many as the field's largest benchmarks have


def report(
    context: RunContext, scores: Mapping[str, float], table: Sequence[Mapping[str, Any]], *, lines: Sequence[str]
) -> None:
    """Writes ``<command>.json`` into the run folder and names the worst images; first process only.

    Args:
        context: the run.
        scores: metric names and values, as Lightning returns them.
        table: one row an image, the worst first; empty where images were not scored one by one.
        lines: ``table`` as it is printed.
    """
    checkpoint, size = context.checkpoint, context.stage.size
    if checkpoint is None or not context.trainer.is_global_zero:
        return
    path = context.folder.path / f"{context.command}.json"
    content = {"checkpoint": checkpoint.path.name, "size": size, "scores": dict(scores), "images": table}
    with output_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())
    for line in lines:
        print(line)
    print(f"measured {relative_to_here(checkpoint.path)} at {size} px; all figures: {relative_to_here(path)}")


def worst_lines(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes the first rows of a table, without a head."""
    return ["  worst: " + "  ".join(_cell(key, value) for key, value in row.items()) for row in table[:SHOWN]]


def style_lines(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes the loss of each repainted image beside that of the untouched image; many images are cut.

    >>> for line in style_lines([{"name": "a.png", "loss": 0.25, "untouched": 1.25, "relative": 0.2}]):
    ...     print(line)
    image     loss  untouched  share
    a.png   0.2500     1.2500   20 %
    mean    0.2500     1.2500   20 %
    """
    if not table:
        return []
    rows = [(str(row["name"]), float(row["loss"]), float(row["untouched"])) for row in table]
    mean = ("mean", sum(row[1] for row in rows) / len(rows), sum(row[2] for row in rows) / len(rows))
    shown = [*rows[:SHOWN_IMAGES], mean]
    width = max(len("image"), *(len(row[0]) for row in shown))
    lines = [f"{'image':{width}} {'loss':>8} {'untouched':>10} {'share':>6}"]
    for name, loss, untouched in shown:
        share = f"{loss / untouched:.0%}".replace("%", " %") if untouched else "-"
        lines.append(f"{name:{width}} {loss:8.4f} {untouched:10.4f} {share:>6}")
    if len(rows) > SHOWN_IMAGES:
        lines.insert(-1, f"... and {len(rows) - SHOWN_IMAGES} better ones")
    return lines


def _cell(key: str, value: Any) -> str:
    return f"{key} {value:.4f}" if isinstance(value, float) else str(value)
