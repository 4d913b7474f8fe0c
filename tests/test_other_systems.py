"""What Windows lacks is not needed: signals, ``fork`` and ``fcntl``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import tiny_images
from tests.helpers.real_run import ROOT, RUN, WORDS

#: Removes what Windows has not, then runs the program.
WINDOWS = f"""
import os, random, runpy, signal, sys, threading, torch
from types import SimpleNamespace
import lightning.pytorch.trainer.connectors.signal_connector as connector
connector.signal = SimpleNamespace(**vars(signal))  # Lightning recognizes Windows by its name
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGALRM", "SIGQUIT", "pthread_sigmask"):
    delattr(signal, name)
for name in ("register_at_fork", "sched_getaffinity", "getuid"):
    delattr(os, name)
sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = None
sys.argv = [{str(RUN)!r}, *sys.argv[1:]]
sys.path[0] = {str(ROOT)!r}
runpy.run_path({str(RUN)!r}, run_name="__main__")
"""


def run_as_on_windows(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", WINDOWS, *words],
        cwd=place, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_training_and_prediction_without_posix(tmp_path: Path) -> None:
    tiny_images.carvana(tmp_path / "cars", cars=6)
    words = [*WORDS, "--data.num_workers", "0", "--name", "w"]
    fit = run_as_on_windows(tmp_path, *words)
    assert fit.returncode == 0, fit.stderr[-3000:]
    assert (tmp_path / "runs/segment/w/checkpoints/best.ckpt").is_file()
    assert not (tmp_path / "runs/segment/w/.lock").exists()
    again = run_as_on_windows(tmp_path, *words)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr
    predict = run_as_on_windows(
        tmp_path, "--task", "segment", "predict", "--trust-config", "cars/train", "--out", "out"
    )
    assert predict.returncode == 0, predict.stderr[-3000:]
    assert len(list((tmp_path / "out/mask").glob("*.png"))) == len(list((tmp_path / "cars/train").iterdir()))


def test_short_help_without_posix(tmp_path: Path) -> None:
    shown = run_as_on_windows(tmp_path, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--task" in shown.stdout
