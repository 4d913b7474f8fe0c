"""Ranks whose weights differ are stopped, and wrapping the module again keeps them equal."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from callbacks.distributed.replica_check import ReplicaCheck, checksum, replicated_tensors
from callbacks.errors import ReplicaError
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_task import SEED, STAGES, TinyData, tiny_task, tiny_trainer


class Nudge(Callback):
    """Changes one tensor of rank 1 in step ``step``."""

    def __init__(self, step: int, name: str) -> None:
        self.step, self.name = step, name

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        if trainer.global_step == self.step - 1 and trainer.global_rank == 1:
            pl_module.state_dict()[self.name].add_(1)


def stopped(folder: Path, every_n_steps: int, *before: Callback) -> str:
    """Trains on two ranks until the guard stops them, and returns its message."""
    guard = ReplicaCheck(STAGES, every_n_steps=every_n_steps)
    trainer = tiny_trainer(folder, devices=2, extra=before)
    # as in a fit: before the module is wrapped anew
    trainer.callbacks.insert(0, guard)  # type: ignore[attr-defined]
    try:
        trainer.fit(tiny_task(), datamodule=TinyData(seed=SEED, num_workers=0))
    except ReplicaError as error:
        return f"{error} | step {trainer.global_step}"
    return "not stopped"


def stories(folder: Path) -> list[str]:
    """Five kinds of differences, one after the other on the same two ranks."""
    told = [
        stopped(folder / "weight", 2, Nudge(3, "net.head.weight")),
        stopped(folder / "stage end", 0, Nudge(1, "net.body.0.weight")),
        stopped(folder / "counter", 1, Nudge(10, "net.body.1.num_batches_tracked")),
        stopped(folder / "statistics", 1, Nudge(10, "net.body.1.running_mean")),
    ]
    with pytest.MonkeyPatch.context() as patch:
        wrap = DDPStrategy.configure_ddp

        def wrap_once(strategy: DDPStrategy) -> None:
            if not hasattr(strategy, "wrapped"):
                strategy.wrapped = strategy.model  # type: ignore[attr-defined]
                wrap(strategy)
                strategy.wrapped = strategy.model  # type: ignore[attr-defined]
            strategy.model = strategy.wrapped  # type: ignore[attr-defined]

        patch.setattr(DDPStrategy, "configure_ddp", wrap_once)
        told.append(stopped(folder / "thawed", 1))
    return told


@pytest.mark.slow
def test_all_ranks_stop_naming_the_first_tensor_that_differs(tmp_path: Path) -> None:
    first, second = on_ranks(2, stories, tmp_path)
    assert first == second
    weight, stage_end, counter, statistics, thawed = first
    assert "net.head.weight differs between process 0 and 1 after step 4 (1 of " in weight
    # the first stage ends after four steps; a frozen weight is not mended by any step of the optimiser
    assert "net.body.0.weight differs between process 0 and 1 after step 4" in stage_end
    assert "net.body.1.num_batches_tracked differs between process 0 and 1 after step 10" in counter
    assert statistics == "not stopped"
    # Without wrapping again the body that thaws after four steps gets no gradients from the other process.
    # Not all of it differs at once: Adam's first step is as long for any gradient, and often points the same way.
    assert re.search(r"net\.body\.\S+ differs between process 0 and 1 after step [56]", thawed)


class SharedNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm2d(2), nn.SyncBatchNorm(2))
        self.register_buffer("grams", torch.zeros(3))


def test_all_tensors_but_local_batch_statistics_are_compared() -> None:
    assert [name for name, _ in replicated_tensors(SharedNorm())] == [
        *("net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "grams", "net.0.num_batches_tracked"),
        *("net.1.running_mean", "net.1.running_var", "net.1.num_batches_tracked"),
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_checksum_detects_one_changed_value_in_any_dtype_and_layout(dtype: torch.dtype) -> None:
    values = torch.arange(24).remainder(2).reshape(2, 3, 2, 2).to(dtype)
    changed = values.clone()
    changed[1, 2, 0, 0] = 1
    assert checksum(values) != checksum(changed)
    assert checksum(values) == checksum(values.to(memory_format=torch.channels_last))


def test_one_process_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[object] = []
    monkeypatch.setattr(torch.distributed, "all_gather", lambda *tensors: gathered.append(tensors))
    trainer: Any = SimpleNamespace(world_size=1)
    ReplicaCheck(STAGES, every_n_steps=1).compare(trainer, tiny_task())
    assert gathered == []
