"""The shipped ``sample`` of style, trained for a sixth of its time: what its recipe promises is there already."""

import json
from pathlib import Path

import pytest

from experiments.benchmarks.border import restlessness
from experiments.cli.main import main
from experiments.runs.trained_module import trained_module
from lightning_modules.style import StyleModule

pytestmark = [
    pytest.mark.slow,
    # lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
    pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)"),
]


def test_the_sample_keeps_its_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_weights: None) -> None:
    """A third of the untouched images' loss on held-out ones, and no frame around flat images."""
    monkeypatch.chdir(tmp_path)
    quiet = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--data.num_workers=0"]
    assert main(["--task", "style", "--stages.0.epochs=2", "--data.crops=16", *quiet]) == 0
    assert main(["--task", "style", "test"]) == 0
    (report,) = tmp_path.rglob("test.json")
    assert json.loads(report.read_text())["scores"]["test/relative"] <= 1 / 3
    rim, middle = restlessness(trained_module("style", report.parent / "checkpoints/best.ckpt", StyleModule))
    assert rim == pytest.approx(middle, rel=0.2)
