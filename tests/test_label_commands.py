"""The commands that label prints at the end train, predict and export as they are printed."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.cli.main import main
from experiments.commands.label import next_commands
from experiments.label.folder import LabelFolder
from experiments.label.rounds import Rounds

OPTIONS = (
    *("--model.net", "tests.helpers.tiny_segment.DiscNet", "--trust-config", "--trainer.accelerator", "cpu"),
    *("--stages.all.epochs", "1", "--stages.all.size", "32", "--stages.1.lr_scale", "[0.1, 1]"),
    *("--data.num_workers", "0", "--data.cache_dir", "cache", "--trainer.enable_progress_bar", "false"),
)


def printed(root: Path, *, done: int) -> list[str]:
    """The lines for four images, of which the first ones have masks of another program."""
    (root / "masks").mkdir(parents=True)
    rows, columns = np.mgrid[:48, :48]
    for number in range(4):
        disc = np.hypot(rows - 20 - number, columns - 24) < 12
        Image.fromarray((np.repeat(disc[..., None], 3, 2) * 200).astype(np.uint8)).save(root / f"p{number}.png")
        if number < done:
            Image.fromarray(disc.astype(np.uint8) * 255).save(root / "masks" / f"p{number}.png")
    with LabelFolder(root, ["disc"]) as folder:
        return next_commands(folder, Rounds(folder, options=OPTIONS, automatic=False), OPTIONS)


def words_of(line: str) -> list[str]:
    words = shlex.split(line)
    return words[words.index("--task") :]


@pytest.mark.slow
def test_printed_commands_run_on_a_set_smaller_than_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = printed(Path("photos"), done=3)
    assert lines[0] == "masks are in photos/masks: 2 images to train on, 1 held out"
    fit, predict, export = (words_of(line) for line in lines if line.startswith("  "))
    assert main(fit) == 0
    assert main([*predict, "--trust-config"]) == 0
    assert {path.name for path in Path("runs").rglob("p[0-9]*")} == {"p3.png", "p3.jpg"}
    assert main([*export, "--trust-config"]) == 0
    assert len(list(Path("runs").rglob("*.onnx"))) == 1


def test_finished_folder_has_nothing_to_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = printed(Path("photos"), done=4)
    assert lines[0] == "masks are in photos/masks: 3 images to train on, 1 held out"
    assert not any("predict" in line for line in lines)


def test_one_finished_image_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = printed(Path("photos"), done=1)
    assert "finish at least two images" in lines[1]
    assert words_of(lines[2]) == ["--task", "segment", "label", "photos"]
