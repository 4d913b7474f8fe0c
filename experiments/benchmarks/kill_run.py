"""The training runs that ``kill.py`` kills: data, a small network, a log of events, and the processes themselves."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from lightning import Callback, LightningModule, Trainer
from PIL import Image
from torch import Tensor, nn

IMAGES, SIDE = 12, 40
#: Events of a whole run: 3 stages of 2 epochs of 5 steps, a save every third step.
EVENTS_PER_RUN = {"step": 30, "save": 12, "boundary": 3, "validation": 6, "cache": 4 * IMAGES - 1}
TIMEOUT = 1800.0  # seconds
_RUN = Path(__file__).parents[1] / "run.py"


class SmallNet(nn.Module):
    """Two layer groups with state that a resumed run must restore: batch norm, dropout and a large buffer.

    The buffer makes saving slow enough that a run can be killed during a save.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv2d(8, 1, 1)
        self.register_buffer("ballast", torch.zeros(2_000_000))

    def forward(self, image: Tensor) -> Tensor:
        """Maps images (N, 3, H, W) to logits (N, 1, H, W)."""
        logits: Tensor = self.head(self.body(image))
        return logits

    def layer_groups(self) -> list[list[nn.Module]]:
        """Body and head."""
        return [[self.body], [self.head]]


class EventLog(Callback):
    """Appends a line to a file at every event at which a run may be killed, and the process id of every rank.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Writes the rank and its process id."""
        self._write(f"rank{trainer.global_rank} {os.getpid()}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Writes ``step``."""
        self._write_on_rank_zero(trainer, "step")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes ``boundary`` after every second epoch, the last of its stage."""
        if trainer.current_epoch % 2:
            self._write_on_rank_zero(trainer, "boundary")

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Writes ``validation``."""
        if not trainer.sanity_checking:
            self._write_on_rank_zero(trainer, "validation")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Writes ``save``, before the checkpoint is written."""
        self._write_on_rank_zero(trainer, "save")

    def _write_on_rank_zero(self, trainer: Trainer, event: str) -> None:
        if trainer.is_global_zero:
            self._write(event)

    def _write(self, line: str) -> None:
        with self.path.open("a", encoding="ascii") as file:
            file.write(f"{line}\n")


def write_images(root: Path) -> None:
    """Writes smooth images to ``images`` and masks of their bright pixels to ``masks``."""
    for number in range(IMAGES):
        coarse = np.random.default_rng(number).integers(0, 255, (5, 5, 3), dtype=np.uint8)
        image = np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        mask = (image.mean(axis=2) > 127).astype(np.uint8) * 255
        for folder, pixels in (("images", image), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """A segmentation run in processes of its own.

    Args:
        folder: working directory, with the images in ``images``.
        name: of the run.
        processes: ranks.
        workers: loader processes per rank.
        cache: folder of the image cache, relative to ``folder``.
    """

    folder: Path
    name: str
    processes: int
    workers: int
    cache: str = "cache"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "runs" / "segment" / self.name / "checkpoints" / "last.ckpt"

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the run from its configuration."""
        file = self.folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self._settings()), encoding="utf-8")
        return self._launch("--name", self.name, "--config", file.name)

    def resume(self) -> subprocess.Popen[bytes]:
        """Starts the run from its newest checkpoint."""
        return self._launch("--resume", f"runs/segment/{self.name}")

    def count(self, event: str) -> int:
        """How often an event has occurred: lines of the event log, or files in the cache."""
        if event == "cache":
            return sum(1 for _ in (self.folder / self.cache / "images").rglob("*.npy"))
        return self._events().count(event)

    def process_id(self, rank: int) -> int:
        """The process id of a rank, from the event log."""
        return next(int(line.split()[1]) for line in self._events() if line.startswith(f"rank{rank} "))

    def _events(self) -> list[str]:
        try:
            return (self.folder / f"{self.name}.events").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []

    def _settings(self) -> dict[str, Any]:
        stage = {"batch_size": 2, "epochs": 2, "lr": 1e-2}
        log = {"class_path": "experiments.benchmarks.kill_run.EventLog", "init_args": {"path": f"{self.name}.events"}}
        data = {"root": "images", "cache_dir": self.cache, "num_workers": self.workers}
        return {
            "model": {"net": {"class_path": "experiments.benchmarks.kill_run.SmallNet"}},
            "data": {"class_path": "datamodules.FolderDataModule", "init_args": data},
            "stages": [
                {"name": "small head", "size": 16, "frozen": "encoder", **stage},
                {"name": "small all", "size": 16, "lr_scale": [0.1, 1.0], **stage},
                {"name": "large all", "size": 24, **stage},
            ],
            "checkpoint": {"every_n_steps": 3},
            "trainer": {
                "accelerator": "cpu",
                "devices": self.processes,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "callbacks": [log],
            },
        }

    def _launch(self, *options: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(_RUN), "--task", "segment", "--trust-config", *options],
                cwd=self.folder,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end of a run.

    Raises:
        RuntimeError: if it fails.
    """
    if code := process.wait(TIMEOUT):
        raise RuntimeError(f"a run that was not killed ended with exit code {code}: {process.args!r}")


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Returns when the condition holds or the process has ended.

    Raises:
        TimeoutError: if neither happens.
    """
    end = time.monotonic() + TIMEOUT
    while not condition() and process.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no event within {TIMEOUT:g} s in {process.args!r}")
        time.sleep(0.0005)


def group_exists(group: int) -> bool:
    """Whether a process group has a process left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def kill_and_wait(pid: int, process: subprocess.Popen[bytes]) -> float:
    """Kills one process of a run and gives the seconds until all of them have ended.

    Raises:
        TimeoutError: if a process of the run is left.
    """
    killed = time.monotonic()
    with suppress(ProcessLookupError):  # the run was faster
        os.kill(pid, signal.SIGKILL)
    process.wait(TIMEOUT)
    while group_exists(process.pid):
        if time.monotonic() - killed > TIMEOUT:
            raise TimeoutError(f"processes of {process.args!r} are left {TIMEOUT:g} s after the kill")
        time.sleep(0.01)
    return time.monotonic() - killed
