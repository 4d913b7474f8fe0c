"""All commands of a user on two ranks."""

import os
from pathlib import Path

import pytest
import torch
from jsonargparse import set_parsing_settings

from experiments.cli.main import main
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_images import noise, save
from tests.helpers.tiny_run import TinyRuns

pytestmark = pytest.mark.slow
FIT = ("--ema.decay", "0.9", "--stages.all.epochs", "2", "--trainer.log_every_n_steps", "1")


def type_all(place: Path, lines: list[list[str]]) -> list[int]:
    """Runs command lines one after the other."""
    os.chdir(place)
    codes = []
    for words in lines:
        os.environ.pop("DARKROOM_RUN_FOLDER", None)
        codes.append(main(words))
    return codes


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fit_resume_test_and_predict_on_two_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = TinyRuns(tmp_path)
    for number in range(3):
        save(tmp_path / "three" / f"{number}.png", noise(number, 40, 50))
    save(tmp_path / "one" / "only.png", noise(9, 40, 50))
    two = ("--trainer.devices", "2", "--trust-config")

    def lines(world: str) -> list[list[str]]:
        after = ("--ckpt_path", "runs/segment/whole/checkpoints/last.ckpt", "--trust-config")
        devices = ("--trainer.devices", world)
        outputs = ("--outputs", "mask,submission")
        return [
            runs.words("predict", "three", "--out", f"three on {world}", *outputs, *after, *devices),
            runs.words("predict", "one", "--out", f"one on {world}", *outputs, *after, *devices),
        ]

    codes, others = on_ranks(
        2,
        type_all,
        tmp_path,
        [
            runs.words("--name", "whole", *FIT, *two),
            runs.words("--name", "cut", *FIT, *two, "--trainer.max_epochs", "3"),
            ["--task", "segment", "--resume", "runs/segment/cut", "--trainer.max_epochs", "4", "--trust-config"],
            runs.words("lr-find", "--steps", "12", "--name", "rates", *two),
            *lines("2"),
        ],
    )
    assert codes == others == [0] * 6
    whole, cut = (
        torch.load(tmp_path / f"runs/segment/{name}/checkpoints/last.ckpt", weights_only=True)
        for name in ("whole", "cut")
    )
    assert whole["global_step"] == cut["global_step"] == 12
    for part in ("state_dict", "current_model_state"):  # the average, and what was trained
        for name, tensor in whole[part].items():
            assert torch.equal(tensor, cut[part][name]), name
    assert (tmp_path / "runs/segment/whole/figures/worst_1.png").exists()
    assert (tmp_path / "runs/segment/rates/lr_find.png").exists()
    (alone,) = on_ranks(1, type_all, tmp_path, lines("1"))
    assert alone == [0, 0]
    for images, count in (("three", 3), ("one", 1)):
        assert len(files(tmp_path / f"{images} on 1")) == count + 1
        assert files(tmp_path / f"{images} on 2") == files(tmp_path / f"{images} on 1")


def test_unsupported_strategy_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_parsing_settings(import_path_allowlist=["tests.helpers"])
    monkeypatch.chdir(tmp_path)
    runs = TinyRuns(tmp_path)
    assert runs.run("--ddp.sync_batchnorm", "true", "--trainer.devices", "2") == 2
    assert "torch synchronizes batch norm on GPUs only" in capsys.readouterr().err
    words = ("--ddp.static_graph", "true", "--trainer.accumulate_grad_batches", "2")
    assert runs.run(*words, "--trainer.devices", "2") == 2
    assert "ddp.static_graph cannot be combined with trainer.accumulate_grad_batches 2" in capsys.readouterr().err
