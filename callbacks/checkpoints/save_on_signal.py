"""Stops a run that is asked to stop: saves a checkpoint after the current step, then ends with exit code 75."""

import signal
from threading import Event
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.distributed.exit_codes import SIGNALS, is_ignored
from callbacks.errors import InterruptedRunError
from lightning_modules.typed_trainer import ends_step


class SaveOnSignal(Callback):
    """Finishes the step, saves ``last.ckpt`` and stops when one of ``SIGNALS`` arrives.

    On SIGTERM, stock Lightning exits with code 0 and saves nothing, and it hangs if only one rank gets the signal.
    Here the handler sets a flag, and all ranks agree on it after each optimizer step. A second Ctrl-C stops the run
    at once.

    Args:
        checkpoint: saves the run.
        training: set while this callback handles the signals, so that other handlers know.

    Raises:
        InterruptedRunError: after the checkpoint is saved.
    """

    def __init__(self, checkpoint: RunCheckpoint, *, training: Event | None = None) -> None:
        self.checkpoint = checkpoint
        self.training = training or Event()
        self._received = 0
        self._previous: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs the handlers, after Lightning has installed its own."""
        for number in SIGNALS:
            if not is_ignored(number):
                self._previous[number] = signal.signal(number, self._receive)
        self.training.set()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops after a complete optimizer step; the last step of an epoch is left to ``on_train_epoch_start``."""
        more_batches = batch_idx + 1 < trainer.num_training_batches
        if ends_step(trainer, batch_idx) and more_batches and self._stop_requested(trainer):
            self.checkpoint.save_last(trainer)
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops between two epochs; the finished one is saved already."""
        if self.checkpoint.last.exists() and self._stop_requested(trainer):
            self._stop(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restores the previous handlers."""
        self._restore_handlers()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restores the previous handlers."""
        self._restore_handlers()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received += 1
        previous = self._previous.get(signal.SIGINT)
        if self._received > 1 and number == signal.SIGINT and callable(previous):
            previous(number, frame)  # Python's raises KeyboardInterrupt; the command line's leaves it to its thread

    def _stop_requested(self, trainer: Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self._received > 0, all=False)

    def _stop(self, trainer: Trainer) -> None:
        raise InterruptedRunError(f"stopped at step {trainer.global_step}, saved as {self.checkpoint.last}")

    def _restore_handlers(self) -> None:
        self.training.clear()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
