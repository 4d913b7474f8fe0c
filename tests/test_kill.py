"""A real run in a process of its own, killed without warning, goes on to the same end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_pictures
import torch

RUN = Path(__file__).parents[1] / "experiments" / "run.py"
WORDS = (
    *("--task", "segment", "--model.net.pretrained", "none", "--trainer.accelerator", "cpu", "--trainer.devices", "1"),
    *("--stages.0.size", "32", "--stages.1.size", "64", "--stages.all.batch_size", "2", "--stages.all.epochs", "2"),
    *("--data.root", "cars", "--data.cache_dir", "cache", "--data.num_workers", "1", "--checkpoint.every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)


def start(place: Path, *words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(RUN), *words], cwd=place, env=environment, stderr=subprocess.PIPE, text=True
    )


def finish(run: subprocess.Popen[str]) -> None:
    _, said = run.communicate(timeout=240)
    assert run.returncode == 0, said[-3000:]


def end(place: Path, name: str) -> dict[str, Any]:
    return dict(torch.load(place / "runs/segment" / name / "checkpoints/last.ckpt", weights_only=True))


@pytest.mark.slow
def test_killed_and_resumed_run_ends_as_the_whole_one(tmp_path: Path) -> None:
    tiny_pictures.carvana(tmp_path / "cars", cars=6)
    finish(start(tmp_path, *WORDS, "--name", "whole"))
    run = start(tmp_path, *WORDS, "--name", "cut")
    last = tmp_path / "runs/segment/cut/checkpoints/last.ckpt"
    deadline = time.monotonic() + 120
    # At the first stage's end: ten pictures in pairs make five steps an epoch. `last` is renewed a moment after the
    # stage's file, so the kill may leave it one step behind.
    while not (tmp_path / "runs/segment/cut/checkpoints/stage-1.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    cut = torch.load(last, weights_only=True)["global_step"]
    finish(start(tmp_path, "--task", "segment", "--resume", "runs/segment/cut"))
    whole, resumed = end(tmp_path, "whole"), end(tmp_path, "cut")
    assert 9 <= cut < whole["global_step"] == resumed["global_step"] == 20
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, resumed["state_dict"][name]), name
    assert whole["callbacks"]["RunCheckpoint"] == resumed["callbacks"]["RunCheckpoint"]
