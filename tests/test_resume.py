"""An interrupted and resumed run ends with the same bits as an uninterrupted one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from callbacks.training.weight_averaging import StageWeightAveraging
from tests.helpers.tiny_task import SEED, STAGES, TinyData, tiny_task, tiny_trainer

# Stages of 2 + 2 + 2 epochs; ten images in batches of 4, 4, 2 make 2, 2 and 5 steps an epoch: 18 in all.
STEPS = 18
CUTS = {
    "after the first step": 1,
    "at an epoch's end": 2,
    "in the middle of the second epoch": 3,
    "on the first boundary": 4,
    "after the boundary": 5,
    "on the second boundary": 8,
    "in the middle of the last stage": 11,
    "before the last step": 17,
}


class KilledError(Exception):
    """Ends the run like SIGKILL, without saving."""


class KillBefore(Callback):
    """Ends the run before step ``step``."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            raise KilledError


class Trace(Callback):
    """Records the batch and the loss of every step."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, tuple[str, ...], float]] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps.append((trainer.current_epoch, tuple(batch["name"]), float(outputs["loss"])))


def fit(
    folder: Path, *, resume: bool = False, extra: Sequence[Callback] = (), workers: int = 0, **options: Any
) -> tuple[list[Any], dict[str, Any]]:
    trace = Trace()
    trainer = tiny_trainer(folder, extra=[trace, *extra], **options)
    try:
        trainer.fit(
            tiny_task(),
            datamodule=TinyData(seed=SEED, num_workers=workers),
            ckpt_path=folder / "last.ckpt" if resume else None,
            weights_only=True,
        )
    except KilledError:
        return trace.steps, {}
    return trace.steps, torch.load(folder / "last.ckpt", weights_only=True)


def assert_same(left: Any, right: Any, where: str = "") -> None:
    if isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}/{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(left, torch.Tensor):
        assert torch.equal(left, right), where
    else:
        assert left == right, where


def assert_resumes(tmp_path: Path, cut: int, *, extra: Any = tuple, workers: int = 0, **options: Any) -> None:
    whole, end = fit(tmp_path / "whole", extra=extra(), workers=workers, **options)
    fit(tmp_path / "cut", extra=[KillBefore(cut), *extra()], workers=workers, **options)
    rest, resumed_end = fit(tmp_path / "cut", resume=True, extra=extra(), workers=workers, **options)
    assert rest == whole[len(whole) - len(rest) :]
    assert len(rest) == len(whole) * (STEPS - cut) // STEPS
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step"):
        assert_same(end[part], resumed_end[part], part)


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_resumed_run_equals_the_uninterrupted_run(tmp_path: Path, cut: int) -> None:
    assert_resumes(tmp_path, cut)


@pytest.mark.parametrize("cut", [3, 8])
def test_resume_with_workers(tmp_path: Path, cut: int) -> None:
    assert_resumes(tmp_path, cut, workers=2)


@pytest.mark.parametrize("cut", [3, 8])
def test_resume_with_accumulation(tmp_path: Path, cut: int) -> None:
    assert_resumes(tmp_path, cut, accumulate_grad_batches=2)


@pytest.mark.parametrize("cut", [3, 8])
def test_resume_with_averaged_weights(tmp_path: Path, cut: int) -> None:
    assert_resumes(tmp_path, cut, extra=lambda: [StageWeightAveraging(STAGES, decay=0.9)])


def test_workers_do_not_change_a_run(tmp_path: Path) -> None:
    alone, end = fit(tmp_path / "alone")
    helped, helped_end = fit(tmp_path / "helped", workers=2)
    assert alone == helped
    assert_same(end["state_dict"], helped_end["state_dict"])


def test_epochs_differ(tmp_path: Path) -> None:
    steps, _ = fit(tmp_path)
    orders = [[name for epoch, names, _ in steps if epoch == e for name in names] for e in range(len(STAGES) * 2)]
    assert len({tuple(order) for order in orders}) == len(orders)
    assert all(len(set(order)) == len(order) for order in orders)
