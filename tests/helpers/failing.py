"""Callbacks for real runs (``--trainer.callbacks``) that make a rank fail, slow it down, or keep it busy at its end."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import Callback, LightningModule, Trainer


class Failing(Callback):
    """Makes a rank fail before a step.

    Args:
        rank: the rank.
        step: number of optimizer steps before the failure.
        how: raise an error, be killed, hang in Python, or be stopped by SIGSTOP.
        once: a file created at the failure; while it exists, there is no further one.
    """

    def __init__(
        self, rank: int, step: int, how: Literal["raise", "die", "hang", "stop"], once: Path | None = None
    ) -> None:
        self.rank, self.step, self.how, self.once = rank, step, how, once

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Fails."""
        if trainer.global_rank != self.rank or trainer.global_step != self.step:
            return
        if self.once is not None:
            if self.once.exists():
                return
            self.once.touch()
        if self.how == "raise":
            raise ArithmeticError("broken on purpose")
        if self.how == "hang":
            time.sleep(3600)
        os.kill(os.getpid(), signal.SIGKILL if self.how == "die" else signal.SIGSTOP)


class Slow(Callback):
    """Makes every step ``seconds`` longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Waits."""
        time.sleep(self.seconds)


class Computing(Callback):
    """Leaves a thread behind that calls torch, as Gloo's threads may, while Python ends."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the thread."""
        compute_for_ever()


def compute_for_ever() -> None:
    """Starts a daemon thread that calls torch."""
    numbers = torch.ones(100)

    def compute() -> None:
        while True:
            numbers.add(numbers)  # releases the GIL and takes it again in C++

    threading.Thread(target=compute, daemon=True).start()
