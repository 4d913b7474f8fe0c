"""Seeds the random numbers inside a step (dropout, stochastic depth), so that a resumed run draws them again."""

from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer


class StepSeed(Callback):
    """Seeds torch before every batch from (seed, batch, rank), so that no generator state has to be saved.

    Args:
        seed: the seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seeds the batch. Accumulated batches and ranks get different seeds."""
        number = trainer.fit_loop.total_batch_idx
        words = np.random.SeedSequence((self.seed, number, trainer.global_rank)).generate_state(1, np.uint64)
        # torch.manual_seed also seeds devices that are not in use, which takes 1 ms: it stores a stack trace for each.
        torch.default_generator.manual_seed(int(words[0]))
        if pl_module.device.type != "cpu":
            torch.get_device_module(pl_module.device).manual_seed(int(words[0]))
