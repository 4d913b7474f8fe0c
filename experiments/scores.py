"""What ``validate`` and ``test`` measured, on the screen and in a file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from callbacks.whole_file import whole_file
from experiments.cli import DarkroomCLI
from experiments.run_folder import relative_to_here

SHOWN = 5


def report(cli: DarkroomCLI, scores: Mapping[str, float], table: Sequence[Mapping[str, Any]] = ()) -> None:
    """Writes ``<command>.json`` into the run folder and names the worst pictures; first process only.

    Args:
        cli: the run.
        scores: metric names and values, as Lightning returns them.
        table: one row a picture, the worst first.
    """
    if cli.loaded is None or not cli.trainer.is_global_zero:
        return
    path = cli.folder.path / f"{cli.plan.command_name}.json"
    content = {"checkpoint": cli.loaded.path.name, "size": cli.stage.size, "scores": dict(scores), "pictures": table}
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())
    for row in table[:SHOWN]:
        print("  worst: " + "  ".join(_cell(key, value) for key, value in row.items()))
    print(f"measured {relative_to_here(cli.loaded.path)} at {cli.stage.size} px; all figures: {relative_to_here(path)}")


def _cell(key: str, value: Any) -> str:
    return f"{key} {value:.4f}" if isinstance(value, float) else str(value)
