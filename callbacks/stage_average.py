"""Averaged weights, begun anew in every stage."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from callbacks.stages import stage_index
from datamodules.stage import Stage


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
        self._stage = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        """Takes the step's weights into the average; those of a stage's first step replace it."""
        stage = stage_index(self.stages, trainer.current_epoch)
        if stage != self._stage and self._average_model is not None:
            self._stage = stage
            self._average_model.n_averaged.zero_()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def state_dict(self) -> dict[str, Any]:
        """Remembers which stage the average belongs to."""
        return super().state_dict() | {"stage": self._stage}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on in the stage of the checkpoint."""
        super().load_state_dict(state_dict)
        self._stage = state_dict["stage"]

    def _mean(self, average: Tensor, current: Tensor, taken: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return current  # batch norm's count of batches
        # In tensors: a number taken from a GPU for every parameter would make it wait that often in every step.
        share = (1 / torch.as_tensor(taken + 1)).clamp(min=1 - self.decay)
        return average + share * (current - average)
