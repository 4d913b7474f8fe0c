"""What the modules of all tasks share: the stage, freezing, the optimiser and its schedule."""

from typing import Any, Literal

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from datamodules.stage import Stage
from models.layer_groups import LayerGroups, eval_, eval_batch_norm_, freeze_, frozen_count, param_groups

Split = Literal["train", "val", "test"]


class ImageTask(LightningModule):
    """Trains ``net`` stage by stage with Adam and a one-cycle schedule per stage.

    A subclass adds ``parts`` (batch to named losses) and the steps. Of several processes one may have no image to
    judge: its validation and test step get a batch without names and do nothing, and the epoch's end, where scores
    are logged, finds it there. Outside a staged run the module is an ordinary LightningModule that has no optimiser
    before ``begin_stage``.

    Args:
        net: a network with ``layer_groups()``.
        weight_decay: L2 penalty added to the gradient, as Adam has it (the lesson's 1e-7).
        momentum: Adam's first beta, or ``(low, high)`` to let it move against the rate (the full one-cycle).
        channels_last: whether the net's weights lie with their channels innermost: the same numbers, faster with
            bf16 and on recent GPUs, slower for instance norm in float32 on a CPU.

    Attributes:
        classes: names of the classes; empty where the task has none.
        test_table: the scores of a test, image by image, the worst first; the same on every process.

    Raises:
        TypeError: if ``net`` does not say what its layer groups are.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        net: nn.Module,
        weight_decay: float = 1e-7,
        momentum: float | tuple[float, float] = 0.9,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(net, LayerGroups):
            raise TypeError(f"{type(net).__name__} needs layer_groups() -> list[list[nn.Module]], input first")
        # Weights in this order are enough: every convolution hands its order on to the next.
        self.net = net.to(memory_format=torch.channels_last) if channels_last else net
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.stage: Stage | None = None
        self.stage_steps = 0
        self.test_table: list[Any] = []
        self.lr = 0.0  # the learning-rate finder reads and sets this name

    @property
    def weights_origin(self) -> str:
        """Where the initial weights come from; by default what the network reports."""
        return str(getattr(self.net, "weights_origin", "random weights"))

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Forward pass and losses by name; ``"loss"`` is their total. Logs nothing: the dry run calls it."""
        raise NotImplementedError

    def training_step(self, batch: Any) -> Tensor:
        """Learns from a batch; what it logs costs two calls at most, half a millisecond each."""
        losses = self.losses(batch)
        loss = losses.pop("loss")
        self.log("train/loss", loss.detach(), prog_bar=True)
        if len(losses) > 1:
            self.log_dict({f"train/loss/{name}": part.detach() for name, part in losses.items()})
        return loss

    def set_stage(self, stage: Stage) -> None:
        """Lets the net work as ``stage`` says, in training or not; most nets work in all stages alike."""

    def begin_stage(self, stage: Stage, steps: int) -> None:
        """Freezes what ``stage`` freezes and remembers its rates for the next ``configure_optimizers``.

        Args:
            stage: the stage that starts or is resumed.
            steps: optimiser steps of the whole stage.
        """
        self.stage, self.stage_steps, self.lr = stage, steps, stage.lr
        self.set_stage(stage)
        groups = self._groups()
        freeze_(groups, frozen_count(len(groups), stage.frozen))
        self.train(self.training)

    def train(self, mode: bool = True) -> "ImageTask":
        """Sets the mode of everything except what the stage keeps in eval.

        Lightning calls this before every epoch and after every validation, so it is the one place where frozen
        layers can be kept from updating their batch-norm statistics.
        """
        super().train(mode)
        if mode and self.stage is not None:
            groups = self._groups()
            eval_(groups[: frozen_count(len(groups), self.stage.frozen)])
            if self.stage.frozen_bn:
                eval_batch_norm_(groups[: frozen_count(len(groups), "encoder")])
        return self

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Builds a fresh Adam and one-cycle for the stage; frozen groups are left out."""
        if self.stage is None:
            raise RuntimeError("begin_stage(stage, steps) has to come before the optimiser is built")
        groups = param_groups(self._groups(), lr=self.lr, lr_scale=self.stage.lr_scale)
        low, high = self.momentum if isinstance(self.momentum, tuple) else (self.momentum, self.momentum)
        optimizer = torch.optim.Adam(groups, betas=(high, 0.999), weight_decay=self.weight_decay)
        # OneCycleLR divides by zero where its climb is a single step, as in a stage tried with a few images.
        steps = max(self.stage_steps, 4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=steps,
            pct_start=max(self.stage.warmup, 2 / steps),
            div_factor=self.stage.div,
            cycle_momentum=low != high,
            base_momentum=low,
            max_momentum=high,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self) -> list[list[nn.Module]]:
        net: Any = self.net  # checked in __init__; nn.Module's attribute typing cannot carry a protocol
        groups: list[list[nn.Module]] = net.layer_groups()
        return groups
