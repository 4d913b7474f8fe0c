"""The entry point of the command line: fast help, and clear messages for unknown names."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli.arguments import NEWEST, read_arguments
from experiments.cli.command_words import take_command
from experiments.cli.main import main
from experiments.cli.usage import UsageError

ROOT = Path(__file__).parents[1]
SEGMENT = ["--task", "segment"]


def run_script(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "experiments" / "run.py"), *words], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("words", "command", "flags"),
    [
        ([], "fit", []),
        (["test"], "test", []),
        (["--trainer.max_epochs", "3", "test"], "test", ["--trainer.max_epochs", "3"]),
        (["--trainer.max_epochs=3", "test"], "test", ["--trainer.max_epochs=3"]),
        (["--model.x", "-3", "test"], "test", ["--model.x", "-3"]),
        (["--data.root", "test"], "fit", ["--data.root", "test"]),
        (["--print_config", "test"], "test", ["--print_config"]),
        (["predict", "a.jpg", "b.jpg", "--tta"], "predict", ["a.jpg", "b.jpg", "--tta"]),
    ],
)
def test_command_is_the_first_positional_argument(words: list[str], command: str, flags: list[str]) -> None:
    assert take_command(words) == (command, flags)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which task? Add one of: --task segment"),
        (["--epochs", "2"], "which task? Add one of: --task segment"),
        (["--tsk", "segment"], "unknown option '--tsk': did you mean '--task'?"),
        (["--task", "segmnt"], "unknown task 'segmnt': did you mean 'segment'?"),
        (["--task"], "--task: expected one argument"),
        ([*SEGMENT, "tset"], "unknown command 'tset': did you mean 'test'?"),
        ([*SEGMENT, "--recipe", "carvna"], "unknown recipe 'carvna': did you mean 'carvana'?"),
        ([*SEGMENT, "--recipe", "mine.yaml"], "To use your own file write --config FILE"),
        ([*SEGMENT, "--resume", "--init_from", "x"], "--resume and --init_from exclude each other"),
        ([*SEGMENT, "--resume", "--recipe", "sample"], "leave --recipe out"),
        ([*SEGMENT, "--resume", "a", "--name", "b"], "select two runs"),
        ([*SEGMENT, "test", "--resume"], "--resume is an option of fit"),
        ([*SEGMENT, "test", "--init_from", "x"], "--init_from is an option of fit"),
        ([*SEGMENT, "--ckpt_path", "best"], "fit takes no --ckpt_path"),
        ([*SEGMENT, "prepare", "--ckpt_path", "best"], "prepare uses the data only"),
        ([*SEGMENT, "--name", "a/b"], "without slashes"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_resume_takes_a_folder_or_nothing() -> None:
    assert read_arguments(SEGMENT).resume is None
    assert read_arguments([*SEGMENT, "--resume"]).resume == NEWEST
    assert read_arguments([*SEGMENT, "--resume", "runs/segment/a"]).resume == "runs/segment/a"
    request = read_arguments([*SEGMENT, "--resume", "fit"])
    assert (request.resume, request.command) == (NEWEST, "fit")


def test_options_are_not_abbreviated() -> None:
    """``--res`` is not completed to ``--resume``; jsonargparse reports that there is no such key."""
    assert read_arguments([*SEGMENT, "--res=1"]).flags == ("--res=1",)


@pytest.mark.parametrize(
    "words", [["-h"], [*SEGMENT, "-h"], ["--task", "x"], [*SEGMENT, "fti"], [*SEGMENT, "--recipe", "x"]]
)
def test_help_and_mistakes_need_no_torch(words: list[str]) -> None:
    code = f"import sys; from experiments.cli.main import main; main({words!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_help_works_from_any_folder(tmp_path: Path) -> None:
    done = run_script("--task", "segment", "-h", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("segment", "sample (default)", "carvana-small", "lr-find", "--resume [FOLDER]", "examples"):
        assert word in done.stdout
    assert len(done.stdout.splitlines()) < 50


def test_script_returns_the_exit_code(tmp_path: Path) -> None:
    done = run_script("--task", "segmnt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_unknown_name_gets_the_list_of_names() -> None:
    with pytest.raises(UsageError, match=r"unknown command 'zzz'\. There are: fit, validate, test"):
        read_arguments([*SEGMENT, "zzz"])
