"""A run that is asked to stop does not wait for a loader that stands still."""

import os
import signal
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import LoaderTimeoutError
from datamodules.loading import loader
from datamodules.loading.loader import STOP_REQUESTED, WatchedLoader, _WatchedIterator
from experiments.cli.main import main
from lightning_modules.segmentation import SegmentationModule
from tests.helpers import tiny_images
from tests.helpers.real_run import WORDS, RealRun
from tests.helpers.tiny_run import TinyRuns


def assert_same_end(expected: Path, resumed: Path, *, steps: int) -> None:
    ends = [torch.load(file, weights_only=True) for file in (expected, resumed)]
    assert ends[0]["global_step"] == ends[1]["global_step"] == steps
    for name, tensor in ends[0]["state_dict"].items():
        assert torch.equal(tensor, ends[1]["state_dict"][name]), name


class Standing(Dataset[int]):
    """Returns its second sample after an hour."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        time.sleep(3600 * index)
        return index


class Tensors(Dataset[Tensor]):
    """Small images."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((3, 8, 8), float(index))


def test_loader_gives_up_soon_after_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_STOPPING", 1.0)
    batches = iter(WatchedLoader(Standing(), batch_size=1, num_workers=1, timeout=3600))
    assert next(batches).item() == 0
    STOP_REQUESTED.set()
    try:
        with pytest.raises(LoaderTimeoutError, match="returned nothing for 1 s"):
            next(batches)
    finally:
        STOP_REQUESTED.clear()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hand batches over in another way")
def test_loader_gives_up_if_its_process_stops_before_the_memory_of_a_batch_is_fetched() -> None:
    """The batch is in the queue, but only as the address of the process that holds it."""
    batches: Any = iter(WatchedLoader(Tensors(), batch_size=1, num_workers=1, timeout=1))
    deadline = time.monotonic() + 60
    while not batches._worker_result_queue._reader.poll():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(batches._workers[0].pid, signal.SIGSTOP)
    with pytest.raises(LoaderTimeoutError, match="returned nothing for 1 s"):
        list(batches)


def stand_still_after(step: int, patch: pytest.MonkeyPatch) -> None:
    """Makes the loader return nothing once ``step`` steps are done, and the process send itself SIGTERM then."""
    train, stands = SegmentationModule.training_step, Event()
    get: Any = _WatchedIterator._try_get_data

    def last_step(self: SegmentationModule, batch: Any) -> Tensor:
        if self.trainer.global_step == step - 1:
            stands.set()
        return train(self, batch)

    def get_nothing(self: _WatchedIterator, timeout: float) -> Any:
        if not stands.is_set():
            return get(self, timeout)
        if not STOP_REQUESTED.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
        return False, None

    patch.setattr(SegmentationModule, "training_step", last_step)
    patch.setattr(_WatchedIterator, "_try_get_data", get_nothing)
    patch.setattr(loader, "_STOPPING", 0.5)


@pytest.mark.slow
def test_last_step_is_saved_and_the_resumed_run_ends_bit_for_bit(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data.num_workers=1", "--checkpoint.every_n_steps=0")
    assert tiny.run(*words, "--name=whole") == 0
    with monkeypatch.context() as patch:
        stand_still_after(4, patch)  # in the middle of the second stage's epoch
        assert tiny.run(*words, "--name=cut") == 75
    said = capsys.readouterr().out
    assert "stopped at step 4, saved as " in said
    assert "the loader processes returned nothing for 0.5 s. The batch that is missing has the files train/" in said
    cut = tiny.folder("cut") / "checkpoints/last.ckpt"
    assert torch.load(cut, weights_only=True)["global_step"] == 4
    assert main(["--task", "segment", "--resume", "runs/segment/cut"]) == 0
    assert_same_end(tiny.folder("whole") / "checkpoints/last.ckpt", cut, steps=6)


def is_waiting(pid: int) -> bool:
    """Whether a process sleeps for five seconds, longer than a step, and uses no time of the processor."""

    def status() -> list[str]:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

    first = status()
    for _ in range(50):
        if status()[0] != "S":  # a process that waits for the processor is in state R
            return False
        time.sleep(0.1)
    last = status()
    return sum(map(int, last[11:13])) - sum(map(int, first[11:13])) < 5  # hundredths of a second


def train(place: Path, name: str, *words: str) -> RealRun:
    return RealRun(place, *WORDS, "--name", name, "--checkpoint.every_n_steps", "0", *words)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_run_saves_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    tiny_images.carvana(tmp_path / "cars", cars=6)
    with train(tmp_path, "whole") as run:
        assert run.finish() == 0, run.said[-3000:]
    last = tmp_path / "runs/segment/cut/checkpoints/last.ckpt"
    slow = ["--trainer.callbacks+=tests.helpers.failing.Slow", "--trainer.callbacks.seconds=1"]
    with train(tmp_path, "cut", *slow) as run:
        run.wait_for(last.exists)  # after the first epoch
        (pid, *_) = [pid for pid in run.children() if pid not in run.ranks()]
        os.kill(pid, signal.SIGSTOP)
        run.wait_for(lambda: is_waiting(run.process.pid))  # the batches that were loaded before are used up
        run.send(signal.SIGTERM)
        assert run.finish() == 75, run.said[-3000:]
    assert "Traceback" not in run.said
    assert "the loader processes returned nothing for 30 s. The batch that is missing has the files train/" in run.said
    assert 5 <= torch.load(last, weights_only=True)["global_step"] < 20
    with RealRun(tmp_path, "--task", "segment", "--resume", "runs/segment/cut", "--trust-config") as run:
        assert run.finish() == 0, run.said[-3000:]
    assert_same_end(tmp_path / "runs/segment/whole/checkpoints/last.ckpt", last, steps=20)
