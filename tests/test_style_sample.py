"""The recipe ``sample`` of style reaches what its head says, in a sixth of its training time."""

import json
from pathlib import Path

import pytest

from experiments.benchmarks.flat_images import border_roughness
from experiments.cli.main import main
from experiments.runs.trained_module import trained_module
from lightning_modules.style import StyleModule

pytestmark = [
    pytest.mark.slow,
    # lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
]


def test_sample_recipe_reaches_its_loss_without_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None
) -> None:
    """A third of the loss of the untouched images, held out, and no frame around flat images."""
    monkeypatch.chdir(tmp_path)
    quiet = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--data.num_workers=0"]
    assert main(["--task", "style", "--stages.0.epochs=2", "--data.crops=16", *quiet]) == 0
    assert main(["--task", "style", "test"]) == 0
    (report,) = tmp_path.rglob("test.json")
    assert json.loads(report.read_text())["scores"]["test/relative"] <= 1 / 3
    border, inside = border_roughness(trained_module("style", report.parent / "checkpoints/best.ckpt", StyleModule))
    assert border == pytest.approx(inside, rel=0.2)
