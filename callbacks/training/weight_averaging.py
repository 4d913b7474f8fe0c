"""Exponential moving average of the weights that starts again in every stage."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from datamodules.stage import Stage, stage_ends


class StageWeightAveraging(WeightAveraging):
    """Validates and saves an exponential moving average (EMA) of the weights over about ``1 / (1 - decay)`` steps.

    For the first ``1 / (1 - decay)`` steps of a stage, the average is the plain mean of the stage's steps, so it does
    not contain the weights the stage started from. The usual EMA keeps them for thousands of steps, which matters most
    when a stage trains layers for the first time, such as an upsampling block or a thawed body.

    Args:
        stages: the stages of the run.
        decay: weight of the previous average at every step, at least 0 and less than 1.
    """

    def __init__(self, stages: Sequence[Stage], *, decay: float) -> None:
        super().__init__(avg_fn=self._average)
        self.stages = list(stages)
        self.decay = decay

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Adds the weights after this step to the average; those after the first step of a stage replace it."""
        starts_stage = batch_idx == 0 and trainer.current_epoch in stage_ends(self.stages)[:-1]
        if starts_stage and self._average_model is not None:
            self._average_model.n_averaged.zero_()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def _average(self, average: Tensor, current: Tensor, averaged: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return current  # batch norm's count of batches
        # A tensor on the GPU: reading a number from it for every parameter would synchronize as often in every step.
        share = (1 / torch.as_tensor(averaged + 1)).clamp(min=1 - self.decay)
        return average + share * (current - average)
