"""Starts Darkroom's programs at low priority, so that the page stays responsive."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_NICE = ("nice", "-n", "10")


def start(words: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Starts Python with ``words``; its output is appended to ``log``.

    It gets a session of its own: Ctrl-C in the terminal goes to the server, which stops it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *words]
    if os.name == "posix" and shutil.which(_NICE[0]):
        command = [*_NICE, *command]
    flags = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(os.environ),
            start_new_session=True,
            creationflags=flags,
        )


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Sends the signal on which a run saves and ends; on Windows, which has none, it ends at once."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)


def last_lines(log: Path, count: int = 3) -> str:
    """Returns the last lines of a program's output that are not empty."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-count:])


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    threads = str(max(1, (os.cpu_count() or 2) - 1))
    path = os.pathsep.join([str(_ROOT), *filter(None, [environ.get("PYTHONPATH")])])
    return {"OMP_NUM_THREADS": threads, **environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
