"""A non-finite loss or gradient stops the run on all ranks before it is saved."""

from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks.checkpoints.reading import read_checkpoint
from callbacks.distributed.replica_check import ReplicaCheck
from callbacks.errors import NonFiniteError
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_task import SEED, STAGES, TinyData, TinyNet, TinyTask, tiny_trainer


class Explodes(TinyTask):
    """Has a non-finite loss or gradient in the step after five, on rank ``rank``."""

    def __init__(self, *, gradient: bool, rank: int = 0) -> None:
        super().__init__(net=TinyNet())
        self.gradient, self.rank = gradient, rank

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        loss = self.losses(batch)["loss"]
        if self.global_step == 5 and self.global_rank == self.rank:
            weight = self.net.get_parameter("head.weight")
            # nothing at all, but with the slope of a root at 0
            loss = loss + (weight - weight.detach()).abs().sqrt().sum() if self.gradient else loss * torch.nan
        return {"loss": loss}


def stopped(folder: Path, task: TinyTask, **options: Any) -> str:
    """Trains until the guard stops the run, and returns its message."""
    extra = [ReplicaCheck(STAGES, every_n_steps=1)]
    trainer = tiny_trainer(folder, every_n_steps=10_000, extra=extra, **options)
    with pytest.raises(NonFiniteError) as caught:
        trainer.fit(task, datamodule=TinyData(seed=SEED, num_workers=0))
    saved = read_checkpoint(folder / "last.ckpt")
    assert saved["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())
    return str(caught.value)


def test_non_finite_gradient_stops_the_run(tmp_path: Path) -> None:
    said = stopped(tmp_path, Explodes(gradient=True))
    assert said.startswith("the loss is finite and its gradient is not at step 6, on the images image ")
    assert said.count("image ") == 4  # a batch
    assert "start from the last checkpoint with --init_from and a lower lr" in said


def test_accumulated_batches_are_checked_together(tmp_path: Path) -> None:
    said = stopped(tmp_path, Explodes(gradient=False), accumulate_grad_batches=2)
    assert said.startswith("the loss is nan at step 6, on the images image ")
    assert said.count("image ") == 4


def on_two(folder: Path) -> list[str]:
    """Has a non-finite loss on one rank of two."""
    return [
        stopped(folder / name, Explodes(gradient=name == "gradient", rank=1), devices=2)
        for name in ("loss", "gradient")
    ]


@pytest.mark.slow
def test_two_ranks_stop_together_with_one_message(tmp_path: Path) -> None:
    first, second = on_ranks(2, on_two, tmp_path)
    assert first == second
    loss, gradient = first
    assert loss.startswith("the loss is nan at step 6, on the images image ")
    assert loss.count("image ") == 2  # half a batch: those of process 1
    # gradients are averaged before anyone sees them, so those of both processes are named
    assert gradient.startswith("the loss is finite and its gradient is not at step 6, on the images image ")
    assert gradient.count("image ") == 4
