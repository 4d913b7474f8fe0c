"""Stops a run whose loss or gradient is no longer a number, before anything of it is saved."""

from typing import Any, NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.errors import NonFiniteError
from lightning_modules.typed_trainer import ends_step
from models.gather import gather_objects


class _Step(NamedTuple):
    """What is kept of a step until it is judged."""

    number: int
    rate: float
    names: list[str]
    losses: list[Tensor]
    gradient: Tensor | None


class NonFiniteGuard(Callback):
    """Looks at every step's loss and gradient one step later, so that a GPU is never waited for.

    Stock Lightning trains on to the end, overwrites ``last.ckpt`` and exits with 0. All processes decide together, and
    the first one says what happened on any of them. Under float16's loss scaling, where a gradient that overflows is
    dropped by design, losses alone are looked at.

    Raises:
        NonFiniteError: naming step, rate and the images of the batch.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._losses: list[Tensor] = []
        self._gradient: Tensor | None = None
        self._rate = 0.0
        self._done: _Step | None = None

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Keeps the gradient's norm and the rate of this step."""
        self._rate = optimizer.param_groups[-1]["lr"]
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self._gradient = torch.nn.utils.get_total_norm(gradients) if gradients else None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Judges the step before, then keeps this one, accumulated batches together."""
        self._names += batch.get("name", [])
        self._losses.append(outputs["loss"].detach())
        if not ends_step(trainer, batch_idx) and batch_idx + 1 < trainer.num_training_batches:
            return
        self._judge(trainer)
        self._done = _Step(trainer.global_step, self._rate, self._names, self._losses, self._gradient)
        self._names, self._losses, self._gradient = [], [], None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judges the epoch's last step before its checkpoint is written."""
        self._judge(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judges before time is spent on validating."""
        self._judge(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Judges before anything is saved."""
        self._judge(trainer)

    def _judge(self, trainer: Trainer) -> None:
        step, self._done = self._done, None
        if step is None:
            return
        values = [*step.losses, *([] if step.gradient is None else [step.gradient])]
        bad = not bool(torch.stack([value.float().reshape(()) for value in values]).isfinite().all())
        if trainer.strategy.reduce_boolean_decision(bad, all=False):
            raise NonFiniteError(_message(step))


def _message(step: _Step) -> str:
    """Says what happened, on whichever process it did; the processes meet here."""
    shares = gather_objects((step.names, [loss.item() for loss in step.losses]))
    losses = [(names, loss) for names, losses in shares for loss in losses if not abs(loss) < float("inf")]
    # Gradients are averaged over the processes before anyone sees them: any of the step's images may be the cause.
    what = f"the loss is {losses[0][1]}" if losses else "the loss is finite and its gradient is not"
    names = losses[0][0] if losses else [name for names, _ in shares for name in names]
    return (
        f"{what} at step {step.number}, on the images {', '.join(names)}, at a rate of {step.rate:.2g}. Nothing of "
        "it was saved. --resume would repeat it: look at those images, or start from the last checkpoint with "
        "--init_from and a lower lr"
    )
