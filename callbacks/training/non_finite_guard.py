"""Stops a run whose loss or gradient is infinite or NaN, before anything of it is saved."""

import math
from typing import Any, NamedTuple

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from callbacks.errors import NonFiniteError
from lightning_modules.typed_trainer import ends_step
from models.gather import gather_objects


class _Step(NamedTuple):
    """An optimizer step that has not been checked yet."""

    number: int
    lr: float
    names: list[str]
    losses: list[Tensor]  # one per accumulated batch
    gradient_norm: Tensor | None


class NonFiniteGuard(Callback):
    """Checks the loss and the gradient of every step one step later, so that the GPU is never waited for.

    Stock Lightning trains on to the end, overwrites ``last.ckpt`` and exits with code 0. All ranks decide together.
    With float16's loss scaling, where an overflowing gradient is skipped by design, only the loss is checked.

    Raises:
        NonFiniteError: naming step, learning rate and the images of the batch.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._losses: list[Tensor] = []
        self._gradient_norm: Tensor | None = None
        self._lr = 0.0
        self._unchecked: _Step | None = None

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Stores the gradient norm and the learning rate of this step."""
        self._lr = optimizer.param_groups[-1]["lr"]
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self._gradient_norm = torch.nn.utils.get_total_norm(gradients) if gradients else None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the step before and stores this one; accumulated batches count as one step."""
        self._names += batch.get("name", [])
        self._losses.append(outputs["loss"].detach())
        if not ends_step(trainer, batch_idx) and batch_idx + 1 < trainer.num_training_batches:
            return
        self._check(trainer)
        self._unchecked = _Step(trainer.global_step, self._lr, self._names, self._losses, self._gradient_norm)
        self._names, self._losses, self._gradient_norm = [], [], None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the last step of the epoch before its checkpoint is written."""
        self._check(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks before time is spent on validation."""
        self._check(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Checks before anything is saved."""
        self._check(trainer)

    def _check(self, trainer: Trainer) -> None:
        step, self._unchecked = self._unchecked, None
        if step is None:
            return
        values = [*step.losses, *([] if step.gradient_norm is None else [step.gradient_norm])]
        bad = not bool(torch.stack([value.float().reshape(()) for value in values]).isfinite().all())
        if trainer.strategy.reduce_boolean_decision(bad, all=False):
            raise NonFiniteError(_message(step))


def _message(step: _Step) -> str:
    """Builds the error message from all ranks (collective call)."""
    shares = gather_objects((step.names, [loss.item() for loss in step.losses]))
    losses = [(names, loss) for names, losses in shares for loss in losses if not math.isfinite(loss)]
    # Gradients are averaged over the ranks before they are checked: any image of the step may be the cause.
    what = f"the loss is {losses[0][1]}" if losses else "the loss is finite and its gradient is not"
    names = losses[0][0] if losses else [name for names, _ in shares for name in names]
    return (
        f"{what} at step {step.number}, on the images {', '.join(names)}, at a learning rate of {step.lr:.2g}. Nothing "
        "of it was saved. --resume would repeat it: check those images, or start from the last checkpoint with "
        "--init_from and a lower lr"
    )
