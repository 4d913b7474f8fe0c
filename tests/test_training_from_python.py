"""``experiments.fit`` makes the same run as the command line, and resumes it."""

from pathlib import Path

import numpy as np
import pytest
import torch

import experiments as darkroom
from callbacks.errors import CheckpointError
from datamodules.errors import DataError
from datamodules.stage import Stage
from experiments.cli.main import main
from experiments.cli.usage import UsageError
from experiments.runs.checkpoint import load_checkpoint
from tests.helpers.tiny_images import noise, save_images

# lightning calls what jsonargparse 4.49 renamed, and so do we as long as older releases are allowed
pytestmark = pytest.mark.filterwarnings(r"ignore:\s*.*(deprecated in v4|JsonargparseDeprecationWarning)")
STAGES = [Stage(name="2x", scale=2, size=12, batch_size=4, epochs=2, lr=1e-3)]
OPTIONS = {
    "data.cache_dir": Path("cache"),
    "data.num_workers": 0,
    "data.crops": 2,
    "data.val_size": 12,
    "model.net.width": 8,
    "model.net.blocks": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
    "trainer.precision": "32-true",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_images(Path("images"), 4)


def test_a_run_is_that_of_the_command_line_and_its_network_can_be_used() -> None:
    run = darkroom.fit("sr", data="images", stages=STAGES, name="python", options=OPTIONS)
    assert (run.folder.resolve(), run.finished) == (Path("runs/sr/python").resolve(), True)
    assert run.checkpoint.name == "best.ckpt"
    words = [f"--{key}={str(value).lower()}" for key, value in OPTIONS.items()]
    stages = "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 2, lr: 1e-3}]"
    assert main(["--task", "sr", "--data.root=images", stages, "--name=words", "--trainer.devices=1", *words]) == 0
    ours, theirs = (load_checkpoint(Path(f"runs/sr/{name}/checkpoints/last.ckpt")) for name in ("python", "words"))
    for name, weight in ours.weights.items():
        assert torch.equal(weight, theirs.weights[name]), name
    image = noise(1)
    np.testing.assert_array_equal(run.load(device="cpu")(image), darkroom.load(run.checkpoint, device="cpu")(image))


@pytest.mark.filterwarnings(
    "ignore:max_epochs=1 ends the run before its stages do"
)  # on purpose, to have one to resume
def test_a_run_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    more = {**OPTIONS, "trainer.max_epochs": 1}
    first = darkroom.fit("sr", data="images", stages=STAGES, name="short", options=more)
    assert load_checkpoint(first.checkpoint).epochs_done == 1
    again = darkroom.fit("sr", resume=first.folder, options={"trainer.max_epochs": 2})
    assert again.folder.resolve() == first.folder.resolve()
    assert load_checkpoint(again.folder / "checkpoints/last.ckpt").epochs_done == 2
    assert "resuming" in capsys.readouterr().out


def test_mistakes_are_exceptions() -> None:
    with pytest.raises(UsageError, match="unknown task 'sgement'"):
        darkroom.fit("sgement")
    with pytest.raises(UsageError, match="no_such"):
        darkroom.fit("sr", options={"model.no_such": 1})
    with pytest.raises(DataError, match="gone"):
        darkroom.fit("sr", data="gone", stages=STAGES, options=OPTIONS)
    with pytest.raises(CheckpointError, match="has no checkpoint yet"):
        _ = darkroom.Run(folder=Path("empty"), finished=False).checkpoint
