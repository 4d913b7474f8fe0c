"""Random numbers inside a step (dropout, stochastic depth) that a resumed run draws again."""

from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer


class StatelessRandomness(Callback):
    """Seeds torch before every batch from (seed, batch, rank), so no state of a generator has to be saved.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seeds the batch that begins; accumulated batches differ, and so do ranks."""
        number = trainer.fit_loop.total_batch_idx
        words = np.random.SeedSequence((self.seed, number, trainer.global_rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))
