"""Seeds of single steps."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from callbacks.training.step_seed import StepSeed


class OnCpu(nn.Module):
    device = torch.device("cpu")


def draw(seed: int, batch: int, rank: int) -> torch.Tensor:
    trainer: Any = SimpleNamespace(fit_loop=SimpleNamespace(total_batch_idx=batch), global_rank=rank)
    module: Any = OnCpu()
    StepSeed(seed).on_train_batch_start(trainer, module, None, 0)
    return torch.rand(4)


def test_numbers_follow_from_seed_batch_and_rank() -> None:
    first = draw(3, 7, 0)
    word = np.random.SeedSequence((3, 7, 0)).generate_state(1, np.uint64)[0]
    assert torch.equal(first, torch.rand(4, generator=torch.Generator().manual_seed(int(word))))
    assert torch.equal(first, draw(3, 7, 0))
    assert len({tuple(draw(*key).tolist()) for key in ((3, 7, 0), (4, 7, 0), (3, 8, 0), (3, 7, 1))}) == 4


def test_devices_that_are_not_in_use_are_not_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_seed: int) -> None:
        raise AssertionError("every step would store a stack trace, see torch.cuda._lazy_call")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    draw(0, 0, 0)
