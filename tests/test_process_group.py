"""Signals that reach the whole process group, terminals that are closed, and loader processes that stand still."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers import tiny_images
from tests.helpers.real_run import ROOT, RUN, WORDS, RealRun

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]
LONG = ("--stages.all.epochs", "20")
TWO = ("--trainer.devices", "2")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tiny_images.carvana(tmp_path / "cars", cars=6)
    return tmp_path


def last(place: Path) -> Path:
    return place / "runs/segment/sample/checkpoints/last.ckpt"


def saved_steps(place: Path) -> int:
    steps: int = torch.load(last(place), weights_only=True)["global_step"]
    return steps


def loaders(run: RealRun) -> list[int]:
    """Loader processes of rank 0."""
    return [pid for pid in run.children() if pid not in run.ranks()]


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one that ended stays in /proc until its parent has asked for its code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_to_the_whole_group_saves(place: Path, number: signal.Signals) -> None:
    with RealRun(place, *WORDS, *LONG, "--data.num_workers", "2") as run:
        run.wait_for(last(place).exists)
        before = saved_steps(place)
        run.wait_for(lambda: bool(loaders(run)))
        for pid in loaders(run):  # first, as a busy machine may deliver them
            os.kill(pid, number)
        run.send_to_all(number)
        assert run.finish() == 75
    assert "Traceback" not in run.said
    assert "saved as" in run.said
    assert before <= saved_steps(place) < 200


def test_run_under_nohup_ignores_a_closed_terminal(place: Path) -> None:
    with RealRun(place, *WORDS, interpreter=("nohup", sys.executable)) as run:
        run.wait_for(last(place).exists)
        run.send(signal.SIGHUP)
        assert run.finish() == 0
    assert saved_steps(place) == 20


def test_loaders_end_with_a_killed_run(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, "--data.num_workers", "2") as run:
        run.wait_for(lambda: len(loaders(run)) >= 2)
        pids = loaders(run)
        os.kill(pids[0], signal.SIGSTOP)
        run.send(signal.SIGKILL)
        assert run.finish() == -signal.SIGKILL  # after the last process of the run has closed its output
    deadline = time.monotonic() + 10  # a process closes its output a moment before it is gone
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_stopped_loader_is_reported_with_its_files(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, "--data.timeout", "3") as run:
        run.wait_for(last(place).exists)
        (pid, *_) = loaders(run)
        os.kill(pid, signal.SIGSTOP)
        start = time.monotonic()
        assert run.finish() == 1
        assert time.monotonic() - start < 60
    line = run.said.rstrip().splitlines()[-1]
    assert line.startswith("run.py: the loader processes returned nothing for 3 s. The batch that is missing has")
    assert "train/car" in line
    assert "Traceback" not in run.said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and a trained run."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_images.carvana(folder / "cars", cars=6)
    (folder / ("x" * 251 + ".png")).write_bytes(next((folder / "cars/train").iterdir()).read_bytes())
    with RealRun(folder, *WORDS) as run:
        assert run.finish() == 0, run.said[-3000:]
    return folder


COMMANDS = {
    "predict": ["predict", "cars/train", "--out", "out"],
    "test": ["test"],
    "prepare": ["prepare", "--data.root", "cars"],
    "show": ["show"],
    "lr-find": ["lr-find", "--data.root", "cars"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_any_command_ends_it_cleanly(trained: Path, command: str, number: signal.Signals) -> None:
    """The moment differs from run to run: after 0 to 6 s the command imports, reads, computes or writes."""
    with RealRun(trained, "--task", "segment", *COMMANDS[command], "--trust-config") as run:
        run.wait_for_handlers()
        time.sleep(random.uniform(0, 6))
        if run.process.poll() is None:
            run.send_to_all(number)
        code = run.finish()
    assert code in (0, 75), run.said[-3000:]
    assert "Traceback" not in run.said
    if code == 75:
        assert f"stopped by {number.name}" in run.said
        assert command in run.said.splitlines()[-1]
    assert not [file for file in trained.rglob(".*") if file.suffix in (".partial", ".part")]
    for file in (trained / "out").rglob("*.png"):
        Image.open(file).load()


def test_longest_file_name_is_predicted(trained: Path) -> None:
    name = "x" * 251 + ".png"
    with RealRun(trained, "--task", "segment", "predict", name, "--out", "long", "--trust-config") as run:
        assert run.finish() == 0, run.said[-3000:]
    assert (trained / "long/mask" / name).is_file()


@pytest.mark.cluster
@pytest.mark.parametrize("rank", [0, 1])
def test_all_processes_end_after_a_loader_stands_still(place: Path, rank: int) -> None:
    """Without a limit of its own for the loader, the ranks find out by waiting for each other."""
    words = [*WORDS, *LONG, *TWO, "--data.num_workers", "1", "--data.timeout", "0", "--ddp.timeout", "0.5"]
    with RealRun(place, *words) as run:
        run.wait_for(last(place).exists)
        owner = run.process.pid if rank == 0 else run.ranks()[0]
        (pid, *_) = [pid for pid in run.descendants() if pid not in run.ranks() and run.parent(pid) == owner]
        os.kill(pid, signal.SIGSTOP)
        start = time.monotonic()
        assert run.finish() != 0
        assert time.monotonic() - start < 30 + 60


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_closed_output_ends_nothing(place: Path, command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, str(RUN), *WORDS]
    if command == "predict":
        subprocess.run(line, cwd=place, env=environment, check=True, capture_output=True)
        line = [*line[:4], "predict", "--trust-config", "cars/train", "--out", "out"]
    errors = place / "errors"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(line, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None
        process.stdout.close()
        code = process.wait(timeout=600)
    assert code == 0, errors.read_text()[-3000:]
    assert "Traceback" not in errors.read_text()
    if command == "fit":
        assert saved_steps(place) == 20
    else:
        assert len(list((place / "out/mask").glob("*.png"))) == len(list((place / "cars/train").iterdir()))


def test_ranks_of_one_machine_listen_on_loopback_only(place: Path) -> None:
    with RealRun(place, *WORDS, *LONG, *TWO, "--data.num_workers", "0") as run:
        run.wait_for(last(place).exists)
        found = [address for pid in (run.process.pid, *run.ranks()) for address in listening(pid)]
        run.send(signal.SIGTERM)
        assert run.finish() == 75
    assert found
    assert set(found) == {"127.0.0.1"}


def listening(pid: int) -> list[str]:
    """IP addresses on which a process listens."""
    sockets = {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    addresses = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and f"socket:[{rest[5]}]" in sockets:
                words = bytes.fromhex(local.partition(":")[0])
                packed = b"".join(words[place : place + 4][::-1] for place in range(0, len(words), 4))
                addresses.append(socket.inet_ntop(family, packed))
    return addresses
