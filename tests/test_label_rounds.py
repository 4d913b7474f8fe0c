"""Rounds train in the background: they pause, go on after the server was started again, and suggest masks."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.label.folder import LabelFolder
from experiments.label.open_image import OpenImage
from experiments.label.rounds import Rounds
from experiments.label.tools import apply_tool
from tests.helpers.held_net import HELD, HOLD

pytestmark = pytest.mark.slow
OPTIONS = (
    *("--model.net", "tests.helpers.held_net.HeldNet", "--trust-config", "--trainer.accelerator", "cpu"),
    *("--stages.all.epochs", "4", "--stages.all.size", "32", "--stages.all.batch_size", "2"),
    *("--stages.1.lr_scale", "[0.1, 1]", "--checkpoint.every_n_steps", "1"),
    *("--data.num_workers", "0", "--data.cache_dir", "cache"),
)
_PATIENCE = 600.0  # seconds; the machine may be busy


def finished_images(root: Path, count: int, finished: int) -> LabelFolder:
    """A folder of bright discs, of which the first ones are finished."""
    root.mkdir()
    rows, columns = np.mgrid[:48, :48]
    for number in range(count):
        disc = np.hypot(rows - 20 - number, columns - 24) < 12
        Image.fromarray((np.repeat(disc[..., None], 3, 2) * 200).astype(np.uint8)).save(root / f"p{number}.png")
    folder = LabelFolder(root, ["disc"])
    folder.__enter__()
    for item in folder.items[:finished]:
        image = OpenImage(folder, item)
        stroke = {"tool": "brush", "class": 1, "points": [[24, 20 + item.number]], "radius": 12}
        apply_tool(image, stroke, classes=1)
        apply_tool(image, {"tool": "finish"}, classes=1)
    return folder


def wait(happened: Callable[[], bool], rounds: Rounds) -> None:
    end = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < end, rounds.status()
        assert rounds.status()["phase"] != "failed", rounds.status()
        time.sleep(0.05)


def test_round_pauses_goes_on_after_a_new_start_and_suggests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = finished_images(tmp_path / "images", count=5, finished=3)
    rounds = Rounds(folder, options=OPTIONS, automatic=False)
    rounds.act("start")
    saved = folder.state_folder / "runs" / "segment" / "round-1" / "checkpoints"
    wait(lambda: any(saved.glob("*.ckpt")), rounds)
    HOLD.touch()
    wait(HELD.exists, rounds)
    assert rounds.status()["phase"] == "training"
    rounds.act("pause")
    HOLD.unlink()
    wait(lambda: rounds.status()["phase"] == "paused", rounds)
    assert rounds.checkpoint is None

    again = Rounds(folder, options=OPTIONS, automatic=False)
    assert (again.status()["phase"], again.status()["complete"]) == ("paused", 0)
    again.act("resume")
    wait(lambda: again.status()["phase"] == "waiting", again)
    status = again.status()
    assert (status["round"], status["complete"], len(status["scores"]), status["message"]) == (1, 1, 1, "")
    assert again.checkpoint is not None
    assert again.checkpoint.is_file()
    suggested = folder.read_suggestion_log()
    assert {item.key for item in suggested} == {"p3", "p4"}
    assert all(item.doubt is not None and 0 <= item.doubt <= 1 for item in suggested)
    assert [folder.suggestion_path(item).is_file() for item in folder.items] == [False] * 3 + [True] * 2

    first = again.checkpoint
    again.act("start")
    wait(lambda: again.status()["phase"] == "waiting", again)
    assert again.status()["complete"] == 2
    assert again.checkpoint != first
    log = (folder.state_folder / "rounds" / "2.log").read_text(encoding="utf-8")
    assert f"weights from {first.relative_to(tmp_path)}" in log
    folder.__exit__()


def test_round_that_is_paused_before_anything_was_saved_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = finished_images(tmp_path / "images", count=3, finished=3)
    HOLD.touch()  # holds the batch that is tried before training
    rounds = Rounds(folder, options=OPTIONS, automatic=False)
    rounds.act("start")
    wait(HELD.exists, rounds)
    rounds.act("pause")
    HOLD.unlink()
    wait(lambda: rounds.status()["phase"] != "training", rounds)
    assert rounds.status()["phase"] == "waiting"
    assert "start it again" in rounds.status()["message"]
    assert Rounds(folder, automatic=False).status()["phase"] == "waiting"
    folder.__exit__()
