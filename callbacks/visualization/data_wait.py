"""Reports once that the steps of an epoch waited for data, with the remedy."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from callbacks.visualization.throughput import StepClock

#: Fraction of the time of an epoch, and steps of an epoch from which it is judged.
MAX_SHARE, LEAST_STEPS = 0.1, 20


class DataWaitReport(Callback):
    """Prints one line at the end of the first epoch whose steps waited for data for more than a tenth of the time.

    The first batch of an epoch is not counted: loader processes start before it. TensorBoard has the fraction of every
    step as ``speed/data_wait_share``.

    Args:
        cores: processor cores that loader processes can use.
    """

    def __init__(self, *, cores: int) -> None:
        self.cores = cores
        self._clock = StepClock()
        self._steps = 0
        self._reported = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts to count."""
        self._clock, self._steps = StepClock(), 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Ends waiting; there is nothing to wait for before the first batch."""
        if self._steps == 0:
            self._clock.wait(time.perf_counter())
        self._clock.begin(time.perf_counter())

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Starts waiting for the next batch."""
        self._steps += 1
        self._clock.end(time.perf_counter(), len(batch["name"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the line."""
        speed = self._clock.read()
        if self._reported or not trainer.is_global_zero or speed is None or self._steps < LEAST_STEPS:
            return
        if speed.data_wait_share > MAX_SHARE:
            self._reported = True
            workers: int = getattr(trainer.train_dataloader, "num_workers", 0)
            print(wait_line(speed.data_wait_share, workers=workers, cores=self.cores // trainer.num_devices))


def wait_line(share: float, *, workers: int, cores: int) -> str:
    """Returns the line that is printed.

    >>> wait_line(0.25, workers=1, cores=4)
    'data: steps waited for data for 25 % of this epoch: more loader processes help, --data.num_workers 3 (now 1)'
    >>> wait_line(0.25, workers=1, cores=2).rpartition(": ")[2]
    'all cores are in use (--data.num_workers 1), smaller images help'
    """
    start = f"data: steps waited for data for {round(100 * share)} % of this epoch"
    if workers < cores - 1:
        return f"{start}: more loader processes help, --data.num_workers {cores - 1} (now {workers})"
    return f"{start}: all cores are in use (--data.num_workers {workers}), smaller images help"
