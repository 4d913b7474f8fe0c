"""Callbacks that tests give to real runs by ``--trainer.callbacks``: they break a process, or slow a run down."""

import os
import signal
import time
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer


class Failing(Callback):
    """Breaks process ``rank`` before step ``step``.

    Args:
        rank: which process.
        step: optimiser steps that are done by then.
        how: raise an error, be killed, hang in Python, or be stopped where it is.
        once: a file that is made on the way, and keeps it from happening again.
    """

    def __init__(
        self, rank: int, step: int, how: Literal["raise", "die", "hang", "stop"], once: Path | None = None
    ) -> None:
        self.rank, self.step, self.how, self.once = rank, step, how, once

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Breaks it."""
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
    """Lets every step last ``seconds`` longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Waits."""
        time.sleep(self.seconds)
