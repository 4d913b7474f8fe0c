"""``best.ckpt`` has weights that were validated, in the stage that they were validated in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from tests.helpers.tiny_task import STAGES, TinyData, TinyNet, TinyTask, tiny_task, tiny_trainer

TWO = [replace(STAGES[0], epochs=2), replace(STAGES[2], epochs=2)]


class Validations(Callback):
    """Keeps the score of every validation by the optimizer step."""

    def __init__(self) -> None:
        self.scores: dict[int, float] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.scores[trainer.global_step] = float(trainer.callback_metrics["val/loss"])


def fit(folder: Path, **options: Any) -> tuple[dict[str, Any], dict[int, float]]:
    """The best checkpoint, and the scores of all validations."""
    validations = Validations()
    tiny_trainer(folder, stages=TWO, extra=[validations], **options).fit(
        tiny_task(), datamodule=TinyData(num_workers=0)
    )
    return torch.load(folder / "best.ckpt", weights_only=True), validations.scores


def score_of(checkpoint: dict[str, Any], folder: Path) -> float:
    """The validation loss of the saved weights at the size of the second stage."""
    module = TinyTask(net=TinyNet())
    module.load_state_dict(checkpoint["state_dict"])
    (scores,) = tiny_trainer(folder / "again", stages=TWO).validate(module, TinyData(num_workers=0), verbose=False)
    return scores["val/loss"]


def test_an_epoch_without_validation_is_never_the_best(tmp_path: Path) -> None:
    best, scores = fit(tmp_path, check_val_every_n_epoch=2)
    assert list(scores) == [4, 14]  # 2 epochs of 10 // 4 steps, then 2 of 10 // 2
    assert (best["epoch"], best["global_step"]) == (3, 14)
    assert score_of(best, tmp_path) == pytest.approx(scores[14])


def test_a_validation_inside_an_epoch_saves_the_weights_that_it_measured(tmp_path: Path) -> None:
    best, scores = fit(tmp_path, val_check_interval=2)
    assert list(scores) == [2, 4, 6, 8, 11, 13]  # after batches 2 and 4 of the 5 of an epoch
    second = {step: score for step, score in scores.items() if step > 4}
    step = min(second, key=second.__getitem__)
    assert best["global_step"] == step
    assert score_of(best, tmp_path) == pytest.approx(scores[step])


def test_a_run_resumed_from_the_best_of_the_middle_of_an_epoch_ends_like_the_whole(tmp_path: Path) -> None:
    fit(tmp_path / "whole", val_check_interval=2)
    trainer = tiny_trainer(tmp_path / "resumed", stages=TWO, val_check_interval=2)
    checkpoint = tmp_path / "whole/best.ckpt"
    trainer.fit(tiny_task(), datamodule=TinyData(num_workers=0), ckpt_path=checkpoint, weights_only=True)
    whole, resumed = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "resumed"))
    assert whole["global_step"] == resumed["global_step"] == 14
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, resumed["state_dict"][name]), name
