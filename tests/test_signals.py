"""SIGTERM, SIGINT and SIGUSR1 to any process of a run, at any time."""

import shlex
import signal
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers import tiny_images
from tests.helpers.real_run import RUN, WORDS, RealRun

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc"),
]
#: Says each import as it ends: events inside the first seconds of a run.
TELLING = (sys.executable, "-X", "importtime")
LONG = ("--stages.all.epochs", "20")  # 200 steps: the signal comes in time on a busy machine too
TWO = ("--trainer.devices", "2")
HELD = ("--model.net", "tests.helpers.held_net.HeldNet")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tiny_images.carvana(tmp_path / "cars", cars=6)
    return tmp_path


def saved(place: Path, name: str) -> Path:
    return place / "runs/segment" / name / "checkpoints/last.ckpt"


def steps(place: Path, name: str) -> int:
    count: int = torch.load(saved(place, name), weights_only=True)["global_step"]
    return count


def again(run: RealRun) -> list[str]:
    """The command that the run printed at its end."""
    lines = [line for line in run.said.splitlines() if line.startswith("  ") and str(RUN) in line]
    assert len(lines) == 1, run.said[-3000:]
    words = shlex.split(lines[0])
    return words[words.index(str(RUN)) + 1 :]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGTERM, "experiments.cli.usage"),  # among the first modules that run.py imports
        (signal.SIGINT, "torch.torch_version"),  # in the middle of torch
        (signal.SIGUSR1, "lightning"),
    ],
)
def test_signal_before_training_ends_at_once(place: Path, number: signal.Signals, moment: str) -> None:
    words = [*WORDS, "--name", "early"]
    with RealRun(place, *words, interpreter=TELLING) as run:
        run.wait_for(moment)
        run.send(number)
        assert run.finish() == 75
    assert f"stopped by {number.name} before there was anything to save" in run.said
    assert again(run) == words
    assert "Traceback" not in run.said


def test_interrupt_saves_and_prints_a_working_resume_command(place: Path) -> None:
    """Ctrl-C reaches the loader processes too; the second one arrives during validation."""
    with RealRun(place, *WORDS, *LONG, *HELD, "--name", "cut") as run:
        run.wait_for(saved(place, "cut").exists)
        run.send_to_all(signal.SIGINT)
        assert run.finish() == 75
    assert "Traceback" not in run.said
    first = steps(place, "cut")
    (place / "hold").write_text("validation", encoding="utf-8")
    with RealRun(place, *again(run), "--trust-config") as run:
        run.wait_for((place / "held").exists)
        run.send(signal.SIGTERM)
        (place / "hold").unlink()
        assert run.finish() == 75
    assert first <= steps(place, "cut") < 200
    assert again(run) == ["--task", "segment", "--resume", "runs/segment/cut", "--trust-config"]


def test_second_interrupt_ends_at_once(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, *HELD, "--name", "held") as run:
        run.wait_for(saved(place, "held").exists)
        (place / "hold").write_text("training", encoding="utf-8")
        run.wait_for((place / "held").exists)
        run.send_to_all(signal.SIGINT)
        run.send_to_all(signal.SIGINT)
        assert run.finish() == 130
    assert "stopped at once" in run.said
    assert again(run)[-3:] == ["--resume", "runs/segment/held", "--trust-config"]


def test_signal_to_rank_1_before_training(place: Path) -> None:
    with RealRun(place, *WORDS, *TWO, "--name", "two") as run:
        run.wait_for(lambda: bool(run.ranks()))
        (other,) = run.ranks()
        run.wait_for_handlers(other)
        run.send(signal.SIGUSR1, other)
        assert run.finish() == 75
    assert again(run)[-1] == "two"
    assert "Traceback" not in run.said


def test_rank_1_ends_with_rank_0(place: Path) -> None:
    with RealRun(place, *WORDS, *TWO, "--name", "two") as run:
        run.wait_for(lambda: bool(run.ranks()))
        run.wait_for_handlers(run.ranks()[0])
        run.send(signal.SIGKILL)
        assert run.finish() == -signal.SIGKILL  # back when the other one is gone too
    assert run.said.rstrip().endswith("run.py: process 0 has ended, so this process ends too")


def test_signal_to_rank_1_during_training(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, *TWO, "--name", "two") as run:
        run.wait_for(saved(place, "two").exists)
        (other,) = run.ranks()
        run.send(signal.SIGTERM, other)
        assert run.finish() == 75
    assert again(run)[-3:] == ["--resume", "runs/segment/two", "--trust-config"]
    assert "Traceback" not in run.said
    assert steps(place, "two") < 200


def test_signal_under_torchrun(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, *TWO, "--name", "two", interpreter=TORCHRUN) as run:
        run.wait_for(saved(place, "two").exists)
        run.send(signal.SIGTERM, run.children()[-1])
        assert run.finish() == 1  # torchrun's own; it shows the 75 of both
    assert "exitcode  : 75" in run.said
    assert "torchrun --nproc_per_node 2" in run.said
    assert again(run)[-3:] == ["--resume", "runs/segment/two", "--trust-config"]
    assert steps(place, "two") < 200
