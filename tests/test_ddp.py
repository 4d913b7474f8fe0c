"""Two real processes: they stay equal while layers thaw, and resume as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("tiny_ddp.py")


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


def test_two_ranks_stay_equal_across_thawing_and_resume_exactly(tmp_path: Path) -> None:
    first, second = train(tmp_path / "whole")
    assert first == second
    start = train(tmp_path / "cut", "--kill", "4")
    assert start == []
    assert train(tmp_path / "cut", "--resume") == [first, second]
    whole, cut = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "cut"))
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, cut["state_dict"][name]), name


def test_validation_counts_every_picture_once(tmp_path: Path) -> None:
    # five validation pictures: three on one rank, two on the other
    first, second = train(tmp_path / "two", "--validate")
    (alone,) = train(tmp_path / "one", "--validate", "--devices", "1")
    assert first["val"] == second["val"] == pytest.approx(alone["val"], rel=1e-6)
