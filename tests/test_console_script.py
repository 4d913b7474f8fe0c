"""Printed commands start with the console script if the run was started by it."""

import sys
from pathlib import Path

import pytest

from experiments.cli.help import short_help
from experiments.cli.main import main
from experiments.runs.command_line import current_command


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The console script of an environment that is on the PATH, as the program of this process."""
    script = tmp_path / "darkroom"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(script), "--task", "sr"])
    return script


def test_name_is_enough_on_the_path(script: Path) -> None:
    assert current_command({}) == "darkroom --task sr"
    assert short_help("sr", []).startswith("usage: darkroom --task TASK")


def test_path_is_printed_elsewhere(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert current_command({}) == f"{script} --task sr"


def test_launchers_get_the_script(script: Path) -> None:
    torchrun = {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2"}
    assert current_command(torchrun) == f"torchrun --nproc_per_node 2 {script} --task sr"
    assert current_command({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}) == "srun darkroom --task sr"


@pytest.mark.usefixtures("script")
def test_messages_begin_with_its_name(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--task", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("darkroom: ")
    monkeypatch.setattr(sys, "argv", ["experiments/run.py", "--task", "nothing"])
    assert main(["--task", "nothing"]) == 2
    assert capsys.readouterr().err.startswith("run.py: ")
