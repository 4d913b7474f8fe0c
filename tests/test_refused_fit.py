"""A fit that is refused before its first step names the reason in one line and leaves no files."""

from typing import Any

import pytest
from torch import Tensor

from experiments.cli.main import main
from lightning_modules.segmentation import SegmentationModule
from tests.helpers.tiny_run import TinyRuns


@pytest.fixture
def too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the dry run refuse the second stage."""
    losses = SegmentationModule.losses

    def refuse(self: SegmentationModule, batch: Any) -> dict[str, Tensor]:
        if batch["image"].shape[-1] == 48:
            raise ValueError("an image of 48 x 48 pixels is too small for this net")
        return losses(self, batch)

    monkeypatch.setattr(SegmentationModule, "losses", refuse)


@pytest.mark.usefixtures("too_small")
def test_no_folder_is_left(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 2
    assert "stage 'large' at 48 px cannot be trained" in capsys.readouterr().err
    assert not (tiny.place / "runs").exists()


@pytest.mark.usefixtures("too_small")
def test_earlier_files_stay(tiny: TinyRuns) -> None:
    notes = tiny.folder("mine") / "notes/mine.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("kept", encoding="utf-8")
    assert tiny.run("--name", "mine") == 2
    assert sorted(tiny.folder("mine").rglob("*")) == [notes.parent, notes]


@pytest.mark.parametrize(
    ("callback", "options"),
    [
        ("EarlyStopping", ["--trainer.callbacks.monitor=val_loss"]),
        ("ModelCheckpoint", ["--trainer.callbacks.monitor=x"]),
    ],
)
def test_unknown_metric_is_refused_before_the_first_step(
    tiny: TinyRuns,
    callback: str,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def step(self: SegmentationModule, batch: Any) -> Tensor:
        raise AssertionError("trained a step")

    monkeypatch.setattr(SegmentationModule, "training_step", step)
    words = [word for word in tiny.words() if "sanity" not in word]
    assert main([*words, f"--trainer.callbacks+=lightning.pytorch.callbacks.{callback}", *options]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"run.py: {callback}: there is no metric '{options[0].partition('=')[2]}' to monitor. There are: " in line
    assert {"train/loss", "val/loss", "val/dice"} <= set(line.partition("There are: ")[2].split(", "))
    assert not (tiny.place / "runs").exists()


def test_known_metric_is_accepted(tiny: TinyRuns) -> None:
    words = [word for word in tiny.words() if "sanity" not in word]
    stop = [
        "--trainer.callbacks+=EarlyStopping",
        "--trainer.callbacks.monitor=val/dice",
        "--trainer.callbacks.mode=max",
    ]
    assert main([*words, *stop]) == 0
