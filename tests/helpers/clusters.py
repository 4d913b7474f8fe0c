"""Runs on several processes for the tests marked ``cluster``: a tiny segmentation that any launcher can start."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from tests.helpers import tiny_images

ROOT = Path(__file__).parents[2]
RUN = ROOT / "experiments" / "run.py"
#: Ten training images in fours make two steps an epoch, eight in all.
WORDS = (
    *("--task", "segment", "--model.net.pretrained", "none", "--trainer.accelerator", "cpu"),
    *("--stages.0.size", "32", "--stages.1.size", "64", "--stages.all.batch_size", "4", "--stages.all.epochs", "2"),
    *("--data.root", "cars", "--data.cache_dir", "cache", "--data.num_workers", "0", "--checkpoint.every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)
STEPS = 8


def place(folder: Path) -> Path:
    """Writes the images of the runs and returns their working directory."""
    tiny_images.carvana(folder / "cars", cars=6)
    return folder


def environment(**more: str) -> dict[str, str]:
    """Environment of a run: this Python, one thread, no variables of a scheduler or a test."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "TORCHELASTIC", "PYTEST", "DARKROOM"))}
    plain["PATH"] = f"{Path(sys.executable).parent}:{plain['PATH']}"
    return plain | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | more


def breaking(*, rank: int, step: int, how: str, once: Path | None = None) -> list[str]:
    """Options that make a rank fail."""
    words = ["--trust-config", "--trainer.callbacks+=tests.helpers.failing.Failing", f"--trainer.callbacks.rank={rank}"]
    words += [f"--trainer.callbacks.step={step}", f"--trainer.callbacks.how={how}"]
    return [*words, *([f"--trainer.callbacks.once={once}"] if once else [])]


@contextlib.contextmanager
def started(command: list[str], folder: Path, **more: str) -> Iterator["subprocess.Popen[str]"]:
    """Starts a command in its own process group, which is killed at the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def finished(command: list[str], folder: Path, *, seconds: float = 900, **more: str) -> tuple[int, str]:
    """Runs a command; returns its exit code and output."""
    with started(command, folder, **more) as process:
        said, _ = process.communicate(timeout=seconds)
        return process.returncode, said


def program(*words: str) -> list[str]:
    """The command that starts a run without a launcher."""
    return [sys.executable, str(RUN), *WORDS, *words]


def last(folder: Path, name: str) -> dict[str, Any]:
    """The last checkpoint of a run."""
    return dict(torch.load(folder / "runs/segment" / name / "checkpoints/last.ckpt", weights_only=True))


def assert_same_end(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Compares the last checkpoints of two runs bit by bit."""
    assert one["global_step"] == other["global_step"] == STEPS
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, other["state_dict"][name]), name


def wait_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Waits until ``condition`` holds.

    Raises:
        AssertionError: if it does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)
