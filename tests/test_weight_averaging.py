"""The weight average covers the steps of its own stage."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from callbacks.training.weight_averaging import StageWeightAveraging
from tests.helpers.tiny_task import STAGES, TinyData, tiny_task, tiny_trainer

# Stages of 2 + 2 + 2 epochs; ten images in batches of 4, 4, 2 make 2, 2 and 5 steps an epoch.
STEPS = (4, 4, 10)


class Weights(Callback):
    """Records all weights after every step."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps.append(flat(pl_module.state_dict()))


def flat(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.double().flatten() for tensor in weights.values() if tensor.is_floating_point()])


def fit(folder: Path, decay: float) -> tuple[list[torch.Tensor], torch.Tensor]:
    weights = Weights()
    trainer = tiny_trainer(folder, extra=[weights, StageWeightAveraging(STAGES, decay=decay)])
    trainer.fit(tiny_task(), datamodule=TinyData())
    return weights.steps, flat(torch.load(folder / "last.ckpt", weights_only=True)["state_dict"])


def test_high_decay_gives_the_mean_of_the_stage(tmp_path: Path) -> None:
    steps, average = fit(tmp_path, decay=0.999)
    assert len(steps) == sum(STEPS)
    torch.testing.assert_close(average, torch.stack(steps[-STEPS[-1] :]).mean(0), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(average, torch.stack(steps).mean(0), rtol=1e-3, atol=1e-4)  # not that of the whole run


def test_low_decay_follows_the_weights(tmp_path: Path) -> None:
    """A decay of 0.5: the mean of the first two steps, then the mean of the average and the weights."""
    steps, average = fit(tmp_path, decay=0.5)
    first, second, *later = steps[-STEPS[-1] :]
    expected = (first + second) / 2
    for step in later:
        expected = (expected + step) / 2
    torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-6)
