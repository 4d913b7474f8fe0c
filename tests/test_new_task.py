"""A task added from outside the packages is trained, resumed, tested and applied."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.cli.main import main
from experiments.tasks.table import TASKS
from tests.helpers.invert_task import __file__ as task_file
from tests.helpers.invert_task import invert_row
from tests.helpers.tiny_run import QUIET

INVERT = ("--task", "invert", "--trust-config", *QUIET)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory where the task is in the table."""
    (tmp_path / "recipes").mkdir()
    monkeypatch.setitem(TASKS, "invert", invert_row(tmp_path / "recipes"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights(place: Path, name: str) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(place / f"runs/invert/{name}/checkpoints/last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


@pytest.mark.filterwarnings("ignore:max_epochs=11")  # stands for an interruption
def test_task_of_one_file_is_fitted_resumed_tested_and_applied(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*INVERT, "--name", "whole"]) == 0
    assert main([*INVERT, "--name", "cut", "--trainer.max_epochs", "11"]) == 0
    assert main([*INVERT, "--resume", "runs/invert/cut", "--trainer.max_epochs", "15"]) == 0
    whole, resumed = weights(place, "whole"), weights(place, "cut")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    inverse = -torch.eye(3)[:, :, None, None]
    torch.testing.assert_close(whole["net.mix.weight"], inverse, atol=0.02, rtol=0)

    folder = place / "runs/invert/whole"
    assert {file.name for file in (folder / "figures").iterdir()} == {
        "training_batch.png",
        *(f"validation_{number}.png" for number in range(1, 5)),
        *(f"worst_{number}.png" for number in range(1, 3)),
    }
    assert main([*INVERT, "test", "--name", "whole"]) == 0
    assert json.loads((folder / "test.json").read_text())["scores"]["test/loss"] < 1e-3

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(place / "image.png")
    assert main([*INVERT, "predict", "image.png", "--name", "whole"]) == 0
    with Image.open(folder / "predictions/result/image.png") as result:
        assert np.abs(np.asarray(result).astype(int) - (255 - pixels.astype(int))).max() <= 5
    assert main([*INVERT, "show", "--name", "whole", "--out", "drawn"]) == 0
    assert {file.name for file in Path("drawn").iterdir()} == {
        "batch-1-small.png",
        "batch-2-large.png",
        "best.png",
        "worst.png",
    }
    assert "score 0.0" in capsys.readouterr().out


def test_help_lists_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "invert", "--help"]) == 0
    assert "invert images" in capsys.readouterr().out


def test_it_is_short() -> None:
    assert len(Path(task_file).read_text(encoding="utf-8").splitlines()) < 150
