"""Resuming after a limit, with another number of steps, and with stages that were added or changed."""

import json
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from experiments.cli.main import main
from tests.helpers import tiny_images
from tests.helpers.tiny_run import QUIET, STAGES, TinyRuns, interrupt_at

TWO_EPOCHS = [{**STAGES[0], "epochs": 2}]


@pytest.fixture(autouse=True)
def _short_runs() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="max_epochs=1 ends the run before its stages do")
        yield


def last(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    return content


def resume(folder: Path, *words: str) -> int:
    return main(["--task", "segment", "--resume", str(folder), *words])


def printed_command(out: str, label: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.lstrip().startswith(label)]
    words = shlex.split(line)
    return words[words.index("--task") :]


@pytest.mark.parametrize(
    ("limit", "lifted"),
    [
        (["--trainer.max_epochs", "1"], ["--trainer.max_epochs", "2"]),
        (["--trainer.max_steps", "2"], ["--trainer.max_steps", "-1"]),
    ],
)
def test_the_printed_command_trains_what_a_limit_left(
    tiny: TinyRuns, limit: list[str], lifted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("--stages", json.dumps(TWO_EPOCHS), "--name", "a", *limit) == 0
    command = printed_command(capsys.readouterr().out, "train on")
    assert command[-2:] == lifted
    assert main(command) == 0
    assert last(tiny.folder("a"))["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == 2
    assert last(tiny.folder("a"))["global_step"] == 4


def test_the_printed_command_lifts_a_limit_of_time(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("--trainer.max_time", "00:00:00:00") == 0
    reason, command = capsys.readouterr().out.splitlines()[-2:]
    assert reason.endswith("without a step: nothing was saved. Without the limit of time:")
    assert command.endswith("--trainer.max_time null")


def test_a_timer_is_a_callback_of_configurations(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    timer = ("--trainer.callbacks+=Timer", "--trainer.callbacks.duration=00:00:00:00")
    assert tiny.run("--name", "a", *timer) == 0
    config = yaml.safe_load((tiny.folder("a") / "config.yaml").read_text())
    assert config["trainer"]["callbacks"][0]["init_args"]["interval"] == "step"
    assert not (tiny.folder("a") / "checkpoints/last.ckpt").exists()
    assert "without a step: nothing was saved. Without the limit of time" in capsys.readouterr().out


@pytest.mark.parametrize("limit", [["--trainer.max_epochs", "1"], ["--trainer.max_steps", "2"]])
def test_resume_at_a_limit_names_the_option(
    tiny: TinyRuns, limit: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("--stages", json.dumps(TWO_EPOCHS), "--name", "a", *limit) == 0
    capsys.readouterr()
    assert resume(tiny.folder("a")) == 0
    out = capsys.readouterr().out
    assert "runs/segment/a has reached its limit after 1 of 2 epochs and 2 steps" in out
    assert main(printed_command(out, "python")) == 0
    assert last(tiny.folder("a"))["global_step"] == 4


def test_the_printed_command_of_a_complete_run_keeps_its_settings(
    tiny: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run("--name", "a", "--model.threshold", "0.4") == 0
    assert main([*printed_command(capsys.readouterr().out, "train on"), "--name", "b"]) == 0
    config = yaml.safe_load((tiny.folder("b") / "config.yaml").read_text())
    assert config["data"]["init_args"]["root"] == str(tiny.place / "cars")
    assert config["model"]["threshold"] == 0.4
    assert config["init_from"].endswith("a/checkpoints/best.ckpt")


def test_images_are_added_and_the_schedule_still_ends_at_its_end(
    tiny: TinyRuns, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    three = [{**STAGES[0], "epochs": 3}]
    assert tiny.run("--stages", json.dumps(three), "--name", "a", "--trainer.max_epochs", "1") == 0
    assert last(tiny.folder("a"))["global_step"] == 2
    tiny_images.carvana(tiny.place / "cars", cars=9)
    assert resume(tiny.folder("a"), "--trainer.max_epochs", "3", *QUIET) == 0
    assert "THE DATA HAVE CHANGED" in caplog.text
    end = last(tiny.folder("a"))
    steps = (end["global_step"] - 2) // 2
    assert steps > 2
    assert tiny.run("--stages", json.dumps(three), "--name", "whole") == 0
    whole = last(tiny.folder("whole"))
    for key in ("last_epoch", "total_steps", "_last_lr"):
        assert end["lr_schedulers"][0][key] == whole["lr_schedulers"][0][key]


def test_a_limit_is_lifted(tiny: TinyRuns) -> None:
    three = [{**STAGES[0], "epochs": 3}]
    limits = ("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1")
    assert tiny.run("--stages", json.dumps(three), "--name", "a", *limits) == 0
    assert resume(tiny.folder("a"), "--trainer.max_epochs", "3", "--trainer.limit_train_batches", "null") == 0
    assert last(tiny.folder("a"))["global_step"] == 1 + 2 + 2


def test_a_stage_is_added_to_a_complete_run(tiny: TinyRuns) -> None:
    assert tiny.run("--name", "a", "--stages", json.dumps(STAGES[:1])) == 0
    assert resume(tiny.folder("a"), "--stages", json.dumps(STAGES)) == 0
    grown = last(tiny.folder("a"))
    assert tiny.run("--name", "whole") == 0
    whole = last(tiny.folder("whole"))
    assert all(torch.equal(grown["state_dict"][name], tensor) for name, tensor in whole["state_dict"].items())


def test_a_stage_is_changed_before_its_first_step(tiny: TinyRuns) -> None:
    assert tiny.run("--name", "a", "--trainer.max_epochs", "1") == 0
    changed = [STAGES[0], {**STAGES[1], "lr": 3e-3, "frozen": "encoder", "epochs": 2}]
    assert resume(tiny.folder("a"), "--trainer.max_epochs", "3", "--stages", json.dumps(changed)) == 0
    assert tiny.run("--name", "whole", "--stages", json.dumps(changed)) == 0
    resumed, whole = last(tiny.folder("a")), last(tiny.folder("whole"))
    assert all(torch.equal(resumed["state_dict"][name], tensor) for name, tensor in whole["state_dict"].items())


def test_a_stage_that_was_trained_stays(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run("--name", "a", "--trainer.max_epochs", "1") == 0
    longer = [{**STAGES[0], "epochs": 2}, STAGES[1]]
    assert resume(tiny.folder("a"), "--trainer.max_epochs", "3", "--stages", json.dumps(longer)) == 2
    assert "with stages that end after 1, 2 epochs, not 2, 3: --resume cannot change" in capsys.readouterr().err


def test_a_stage_that_has_begun_cannot_be_cut_short(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    longer = [{**STAGES[0], "epochs": 2}, STAGES[1]]
    assert tiny.run("--name", "a", "--stages", json.dumps(longer), "--trainer.max_epochs", "1") == 0
    assert resume(tiny.folder("a"), "--trainer.max_epochs", "2", "--stages", json.dumps(STAGES)) == 2
    assert "in the stage 'small' with epochs 2, not 1: --resume cannot change" in capsys.readouterr().err


def test_a_resumed_epoch_has_fewer_steps_than_were_done(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    two = [{**STAGES[1], "epochs": 2}]  # 4 steps an epoch
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        assert tiny.run("--stages", json.dumps(two), "--name", "a") == 75
    assert last(tiny.folder("a"))["global_step"] == 3
    assert resume(tiny.folder("a"), "--trainer.limit_train_batches", "2") == 0
    assert last(tiny.folder("a"))["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == 2


def test_the_printed_commands_repeat_trust(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        assert tiny.run("--name", "a", "--trust-config") == 75
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.endswith("--task segment --resume runs/segment/a --trust-config")
