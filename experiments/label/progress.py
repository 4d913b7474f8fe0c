"""How far a round of training is, from the files of its run."""

import csv
from contextlib import suppress
from pathlib import Path

import yaml


def planned_epochs(run: Path) -> int | None:
    """Epochs of all stages of a run, ``None`` before it has written its settings."""
    with suppress(OSError, KeyError, TypeError, yaml.YAMLError):
        text = (run / "config.yaml").read_text(encoding="utf-8")
        return sum(int(stage["epochs"]) for stage in yaml.safe_load(text)["stages"])
    return None


def complete_epochs(run: Path) -> tuple[int, float | None]:
    """Number of epochs that are complete, and the best Dice so far."""
    files = sorted(run.glob("**/metrics.csv"), key=lambda path: path.stat().st_mtime)
    epochs, scores = 0, []
    for file in files:
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                for row in csv.DictReader(lines):
                    if row.get("val/dice"):
                        epochs = max(epochs, int(float(row.get("epoch") or 0)) + 1)
                        scores.append(float(row["val/dice"]))
        except (OSError, ValueError):  # it is being written
            continue
    return epochs, max(scores, default=None)
