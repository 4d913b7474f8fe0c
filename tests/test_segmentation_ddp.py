"""Two real processes score a set as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_segment import read_events

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("tiny_segment_ddp.py")


def train(folder: Path, *options: str) -> list[dict[str, Any]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "PYTEST"))}
    run = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder), *options],
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("rank*.json"))]


def test_scores_do_not_depend_on_how_pictures_are_shared_out(tmp_path: Path) -> None:
    # five pictures: three on one rank, two on the other
    first, second = train(tmp_path / "two")
    (alone,) = train(tmp_path / "one", "--devices=1")
    assert first == second
    assert first["val"] == pytest.approx(alone["val"], rel=1e-3)  # weights differ by rounding after ten steps
    assert first["test"] == pytest.approx(alone["test"], rel=1e-3)
    assert sorted(row["name"] for row in first["table"]) == [f"disc {100 + number}.png" for number in range(5)]
    assert alone["val"]["val/dice"] > 0.5
    assert first["sync"] == []
    tags = read_events(tmp_path / "two").Tags()  # one log, written by one process
    assert "figures/validation_1" in tags["images"]
    files = (tmp_path / "two").glob("events.out.tfevents.*")  # ...<host>.<process>.<number>
    assert len({file.name.split(".")[-2] for file in files}) == 1
