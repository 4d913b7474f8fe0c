"""A checkpoint that does not match the request is refused in one line, before an image is read."""

from pathlib import Path

import pytest
import torch

from experiments.cli.main import main
from tests.helpers.tiny_run import TinyRuns, interrupt_at


@pytest.fixture
def cut(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run stopped in its second stage, whose images have been removed."""
    with monkeypatch.context() as patch:
        interrupt_at(4, patch)
        assert tiny.run("--name", "cut") == 75
    (tiny.place / "cars").rename(tiny.place / "gone")
    return tiny.folder("cut")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--stages.1.lr", "5e-3"],
            "in the stage 'large' with lr 0.01, not 0.005: --resume cannot change a stage",
        ),
        (["--stages.1.scale", "4"], "with scale None, not 4"),
        (["--stages.1.frozen", "1"], "with frozen 0, not 1"),
        (["--model.classes", "[sky, car]"], None),
        (["--stages.1.size", "16"], "the data root"),  # may change, so the next thing is told
    ],
)
def test_started_stage_cannot_be_changed(
    cut: Path, words: list[str], message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["--task", "segment", "--resume", str(cut), *words]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert (message or "classes") in error


def test_number_of_classes_is_compared_first(cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = cut / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    assert content["darkroom"]["classes"] == ["car"]
    content["darkroom"]["classes"] = ["sky", "road"]
    torch.save(content, last)
    for words in (["--resume", str(cut)], ["test", "--ckpt_path", str(last)]):
        assert main(["--task", "segment", *words]) == 2
        assert "was trained on 2 classes (sky, road), but 1 class (car) are configured" in capsys.readouterr().err


def test_weights_of_another_task_are_refused(cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "sr", "--init_from", str(cut / "checkpoints/last.ckpt")]) == 2
    assert (
        "last.ckpt is a checkpoint of the task 'segment': a run of sr cannot start from it" in capsys.readouterr().err
    )
