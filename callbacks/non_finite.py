"""Stops a run whose loss is no longer a number, before anything of it is saved."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from callbacks.errors import NonFiniteError


class NonFiniteGuard(Callback):
    """Looks at every step's loss one step later, so that a GPU is never waited for.

    Stock Lightning trains on to the end, overwrites ``last.ckpt`` and exits with 0. All processes decide together.

    Raises:
        NonFiniteError: naming step, rate and the pictures of the batch.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None
        self._step = 0
        self._names: list[str] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Judges the step before, then keeps this one's loss."""
        self._judge(trainer)
        self._loss = outputs["loss"].detach()
        self._step, self._names = trainer.global_step, list(batch.get("name", []))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judges the epoch's last step before its checkpoint is written."""
        self._judge(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judges before time is spent on validating."""
        self._judge(trainer)

    def _judge(self, trainer: Trainer) -> None:
        loss, self._loss = self._loss, None
        if loss is None:
            return
        bad = not bool(loss.isfinite().all())
        if not trainer.strategy.reduce_boolean_decision(bad, all=False):
            return
        rate = trainer.optimizers[0].param_groups[-1]["lr"]
        where = f"on the pictures {', '.join(self._names)}" if bad else "on another process"
        raise NonFiniteError(
            f"the loss is {loss.item() if bad else 'not finite'} at step {self._step}, {where}, at a rate of "
            f"{rate:.2g}. Nothing of it was saved: go on from the last checkpoint with --resume and a lower lr, or "
            "look at those pictures"
        )
