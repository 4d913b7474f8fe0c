"""Stops a run that is asked to stop: saves a checkpoint after the current step, then ends with exit code 75."""

import signal
from threading import Event
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import RunningStage

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
        requested: set by the first signal if there is a single rank, so that it does not wait long for a batch that
            does not arrive.
        no_batch: the error of a loader whose batch does not arrive.

    Raises:
        InterruptedRunError: after the checkpoint is saved.
    """

    def __init__(
        self,
        checkpoint: RunCheckpoint,
        *,
        training: Event | None = None,
        requested: Event | None = None,
        no_batch: type[Exception] = TimeoutError,
    ) -> None:
        self.checkpoint = checkpoint
        self.training = training or Event()
        self.requested = requested or Event()
        self.no_batch = no_batch
        self.saved = False  # by `on_exception`
        self._alone = True
        self._received = 0
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def stops_alone(self) -> bool:
        """Whether a signal has arrived, and there is no other rank to agree with."""
        return self._alone and self._received > 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs the handlers, after Lightning has installed its own."""
        self._alone = trainer.world_size == 1  # several ranks agree after a step, which each of them has to reach
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
        """Saves the last complete step if the next batch did not arrive; restores the previous handlers."""
        if self.stops_alone and isinstance(exception, self.no_batch) and _is_between_steps(trainer):
            self.checkpoint.save_last(trainer)
            self.saved = True
        self._restore_handlers()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received += 1
        if self._alone and self._received == 1:  # once: an event's lock cannot be taken by a handler inside a handler
            self.requested.set()
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
        self.requested.clear()  # when no handler can set it any more


def _is_between_steps(trainer: Trainer) -> bool:
    """Whether training waits for a batch inside an epoch, all optimizer steps of earlier ones done."""
    if trainer.state.stage != RunningStage.TRAINING:
        return False
    done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
    return 0 < done < trainer.num_training_batches and done % trainer.accumulate_grad_batches == 0
