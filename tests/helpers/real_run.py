"""Runs of the real command line in separate processes, synchronized by their output and not by time."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ROOT / "experiments" / "run.py"
#: Generous: the machine may be busy with something else.
PATIENCE = 900.0

#: Two stages of two epochs of five steps, saved at every step; the seconds go into importing torch.
WORDS = (
    *(
        "--task",
        "segment",
        "--model.net",
        "tests.helpers.tiny_segment.DiscNet",
        "--trust-config",
        "--trainer.accelerator",
        "cpu",
    ),
    *("--stages.0.size", "16", "--stages.1.size", "24", "--stages.all.batch_size", "2", "--stages.all.epochs", "2"),
    *("--data.root", "cars", "--data.cache_dir", "cache", "--data.num_workers", "1", "--checkpoint.every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)


class RealRun:
    """A running command whose output is read line by line.

    Args:
        place: its working directory.
        words: arguments of run.py.
        interpreter: the command in front of run.py.
        environment: additional variables.
    """

    def __init__(
        self,
        place: Path,
        *words: str,
        interpreter: Sequence[str] = (sys.executable,),
        environment: dict[str, str] | None = None,
    ) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "TORCHELASTIC", "DARKROOM_RUN"))}
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"):
            clean.pop(name, None)
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [*interpreter, str(RUN), *words],
            cwd=place,
            env=clean | own | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "RealRun":
        return self

    def __exit__(self, *_: object) -> None:
        """Kills all processes and closes the pipes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait_for(self, event: str | Callable[[], bool]) -> None:
        """Waits until the run prints ``event``, or until the condition ``event`` holds."""
        happened = event if callable(event) else lambda: event in self.said
        end = time.monotonic() + PATIENCE
        while not happened():
            running = self.process.poll() is None
            assert running or happened(), f"ended with {self.process.returncode} before {event}:\n{self.said[-3000:]}"
            assert time.monotonic() < end, f"nothing of {event} in {PATIENCE} s:\n{self.said[-3000:]}"
            time.sleep(0.001)

    def wait_for_handlers(self, pid: int | None = None) -> None:
        """Waits until a process has installed its SIGTERM handler."""
        self.wait_for(lambda: _in_mask(self.process.pid if pid is None else pid, "SigCgt", signal.SIGTERM))

    def children(self) -> list[int]:
        """Child processes that run Python."""
        return [pid for pid in _all() if _parent(pid) == self.process.pid]

    def descendants(self) -> list[int]:
        """Processes of the run other than the first one."""
        found = [self.process.pid]
        for pid in found:
            found += [child for child in _all() if _parent(child) == pid]
        return found[1:]

    def parent(self, pid: int) -> int:
        """The process that started ``pid``."""
        return _parent(pid)

    def ranks(self) -> list[int]:
        """The other ranks of a run, once they have started."""
        return [pid for pid in self.children() if b"run.py" in _command(pid) and b"LOCAL_RANK=" in _environment(pid)]

    def send(self, number: signal.Signals, pid: int | None = None) -> None:
        """Sends a signal to rank 0 or to another process, and waits until it is delivered."""
        pid = self.process.pid if pid is None else pid
        os.kill(pid, number)
        self.wait_for(lambda: self.process.poll() is not None or not _in_mask(pid, "ShdPnd", number))

    def send_to_all(self, number: signal.Signals) -> None:
        """Sends a signal to the process group, as a terminal does."""
        os.killpg(self.process.pid, number)
        self.wait_for(lambda: self.process.poll() is not None or not _in_mask(self.process.pid, "ShdPnd", number))

    def finish(self) -> int:
        """Waits for the end of all processes and returns the exit code."""
        self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)  # the pipe closes when the last process of the run is gone
        assert not self._reader.is_alive(), f"processes of the run outlived it:\n{self.said[-3000:]}"
        return self.process.returncode

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _in_mask(pid: int, mask: str, number: signal.Signals) -> bool:
    """Whether a mask of /proc/PID/status holds a signal: ``SigCgt`` handled, ``ShdPnd`` pending."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    signals = next((line for line in status.splitlines() if line.startswith(mask)), f"{mask}: 0")
    return bool(int(signals.split()[1], 16) >> (number - 1) & 1)
