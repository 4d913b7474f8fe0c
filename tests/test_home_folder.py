"""Paths that begin with ``~`` and name no user end in one line that says what is missing."""

from pathlib import Path

import pytest

import experiments
from callbacks.errors import CheckpointError
from datamodules.io.home_folder import expand_home
from experiments.cli.main import main


def test_home_of_an_unknown_user_is_a_missing_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    assert expand_home("~/x") == tmp_path / "x"
    with pytest.raises(CheckpointError, match="there is no checkpoint ~nobody-of-this-name/x"):
        experiments.load("~nobody-of-this-name/x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--task", "sr", "prepare", "--data.root", "~nobody-of-this-name/x"], "is not a folder"),
        (
            ["--task", "segment", "prepare", "--from", "coco", "~nobody-of-this-name/x", "--out", "y"],
            "~nobody-of-this-name/x: does not exist",
        ),
    ],
)
def test_command_names_the_folder(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "nobody-of-this-name" in line]
    assert message in line
