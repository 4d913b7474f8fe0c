"""Averaged weights, begun anew in every stage."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from datamodules.stage import Stage, stage_ends


class StageAverage(WeightAveraging):
    """Validates and saves an exponential moving average of the weights, with a memory of ``1 / (1 - decay)`` steps.

    As long as a stage has had fewer steps than that, the average is the plain mean of its steps: it forgets where the
    stage began, which the usual form drags along for thousands of steps. That matters most where a stage sets free
    what had not been trained, an upsampling block or a thawed body.

    Args:
        stages: what is trained, in order.
        decay: share of the average that stays at every step, at least 0 and less than 1.
    """

    def __init__(self, stages: Sequence[Stage], *, decay: float) -> None:
        super().__init__(avg_fn=self._mean)
        self.stages = list(stages)
        self.decay = decay

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Takes the step's weights into the average; those of a stage's first step replace it."""
        begins = batch_idx == 0 and trainer.current_epoch in stage_ends(self.stages)[:-1]
        if begins and self._average_model is not None:
            self._average_model.n_averaged.zero_()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def _mean(self, average: Tensor, current: Tensor, taken: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return current  # batch norm's count of batches
        # In tensors: a number taken from a GPU for every parameter would make it wait that often in every step.
        share = (1 / torch.as_tensor(taken + 1)).clamp(min=1 - self.decay)
        return average + share * (current - average)
