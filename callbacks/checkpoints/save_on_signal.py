"""A polite end: the signal a person or a scheduler sends becomes a checkpoint and an exit code."""

import signal
from threading import Event
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.distributed.exit_codes import SIGNALS
from callbacks.errors import InterruptedRunError
from lightning_modules.typed_trainer import ends_step


class SaveOnSignal(Callback):
    """Finishes the step, saves ``last.ckpt`` and stops when SIGTERM, SIGINT or SIGUSR1 arrives.

    Stock Lightning leaves SIGTERM with exit code 0 and nothing saved, and hangs if one rank alone gets it. Here a
    handler sets a flag and all ranks agree on it after each optimiser step. A second Ctrl-C ends at once.

    Args:
        checkpoint: what saves.
        training: set as long as this callback answers the signals, for whoever answers them before and after.

    Raises:
        InterruptedRunError: after saving.
    """

    def __init__(self, checkpoint: RunCheckpoint, *, training: Event | None = None) -> None:
        self.checkpoint = checkpoint
        self.training = training or Event()
        self._received = 0
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the signals over, after Lightning has taken its own."""
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._receive)
        self.training.set()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops where a step is complete; the epoch's last step is left to ``on_train_epoch_end``."""
        if ends_step(trainer, batch_idx) and batch_idx + 1 < trainer.num_training_batches and self._asked(trainer):
            self.checkpoint.save_last(trainer)
            self._stop(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops between two epochs; the finished one was saved at its end."""
        if self.checkpoint.last.exists() and self._asked(trainer):
            self._stop(trainer)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Gives the signals back."""
        self._give_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives the signals back."""
        self._give_back()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received += 1
        before = self._before.get(signal.SIGINT)
        if self._received > 1 and number == signal.SIGINT and callable(before):
            before(number, frame)  # Python's own raises KeyboardInterrupt; the command line's leaves it to its thread

    def _asked(self, trainer: Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self._received > 0, all=False)

    def _stop(self, trainer: Trainer) -> None:
        raise InterruptedRunError(f"stopped at step {trainer.global_step}, saved as {self.checkpoint.last}")

    def _give_back(self) -> None:
        self.training.clear()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
