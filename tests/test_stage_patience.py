"""A stage with ``patience`` ends early, and a resumed run ends like an unbroken one."""

from pathlib import Path

import pytest
import torch

from callbacks.checkpoints.reading import read_checkpoint
from datamodules.stage import Stage
from tests.helpers.tiny_run import TinyRuns, interrupt_at

pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
# The first stage does not learn: its first epoch stays the best, and the third is the second without a better score.
FLAT = "{name: flat, size: 32, batch_size: 4, epochs: 6, lr: 1e-30, patience: 2}"
STAGES = f"--stages=[{FLAT}, {{name: steep, size: 48, batch_size: 2, epochs: 2, lr: 1e-2}}]"


def steps(file: Path) -> tuple[int, int]:
    """Optimizer steps and epochs that a checkpoint has done, those that were skipped included."""
    content = read_checkpoint(file)
    return content["global_step"], content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]


def test_the_next_stage_begins_early(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight training images make two steps of four, and four of two."""
    assert tiny.run(STAGES) == 0
    checkpoints = tiny.folder() / "checkpoints"
    assert steps(checkpoints / "stage-1.ckpt") == (3 * 2, 6)
    assert steps(checkpoints / "last.ckpt") == (3 * 2 + 2 * 4, 8)
    assert steps(checkpoints / "best.ckpt")[0] > 6
    assert tiny.run("--resume", str(tiny.folder()), STAGES) == 0
    assert "is complete" in capsys.readouterr().out


def test_the_last_stage_ends_the_run(tiny: TinyRuns) -> None:
    assert tiny.run(f"--stages=[{FLAT}]") == 0
    assert steps(tiny.folder() / "checkpoints/last.ckpt") == (6, 6)


@pytest.mark.parametrize("step", [1, 4, 5, 6, 7, 11])
def test_resumed_runs_end_with_the_same_bits(step: int, tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the first stage, while epochs are counted, on the boundary, and in the second stage."""
    assert tiny.run("--name", "whole", STAGES) == 0
    with monkeypatch.context() as patch:
        interrupt_at(step, patch)
        assert tiny.run("--name", "cut", STAGES) == 75
    assert tiny.run("--resume", str(tiny.folder("cut")), STAGES) == 0
    whole, cut = (read_checkpoint(tiny.folder(name) / "checkpoints/last.ckpt") for name in ("whole", "cut"))
    assert whole["global_step"] == cut["global_step"]
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, cut["state_dict"][name]), name


def test_patience_is_checked() -> None:
    with pytest.raises(ValueError, match="patience must be at least 1, not 0"):
        Stage(name="a", size=32, batch_size=2, epochs=3, lr=0.1, patience=0)
