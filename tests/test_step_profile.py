"""The profile of some steps: a trace that names their operations, and the most expensive ones as a table."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks.training.step_profile import STEPS, WARM_UP, StepProfile


@pytest.mark.parametrize("steps", [WARM_UP + STEPS, WARM_UP + 2], ids=["long", "short"])
def test_profile_of_matrix_products(steps: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each step is 3 products of 128 x 128 matrices, which are the most expensive operation."""
    trainer: Any = SimpleNamespace(is_global_zero=True)
    module: Any = None
    matrix = torch.rand(128, 128)
    recorder = StepProfile(tmp_path / "profile.json")
    for number in range(steps):
        for _ in range(3):
            torch.mm(matrix, matrix)
        recorder.on_train_batch_end(trainer, module, {}, {}, number)
    recorder.on_train_end(trainer, module)
    events = json.loads((tmp_path / "profile.json").read_text(encoding="utf-8"))["traceEvents"]
    assert sum(event.get("name") == "aten::mm" for event in events) == 3 * (steps - WARM_UP)
    told = capsys.readouterr().out.splitlines()
    assert told[1].startswith("aten::mm ")
    assert told[1].split()[-1] == str(3 * (steps - WARM_UP))
    assert told[-1].startswith(f"profile of the steps {WARM_UP + 1} to {steps}: ")
    assert list(tmp_path.iterdir()) == [tmp_path / "profile.json"]
