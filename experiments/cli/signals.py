"""Signals from the first line on: before there is training to save, a process that is asked to stop leaves at once.

Python answers a signal between two of its own instructions, so a process that waits for another inside torch would not
hear it for hours. Here the kernel's notice goes to a thread, which waits for nothing else. Imports nothing slow: torch
takes seconds, and a signal during its import counts like any other.
"""

import atexit
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

from callbacks.distributed.error_files import errors_folder, launcher_pid, remove_errors_folder
from callbacks.distributed.exit_codes import FAILURE, INTERRUPTED, SIGNALS, STOPPED_AT_ONCE
from experiments.runs.command_line import same_again

#: Set while ``callbacks/checkpoints/save_on_signal.py`` answers the signals: then the step is finished and saved first.
TRAINING = threading.Event()
_line: Callable[[], str] = same_again
#: Seconds in which a process may end by itself after the one that started it was killed; in training it may be in the
#: middle of a step, and say what it thinks of the loss.
_GRACE, _GRACE_IN_TRAINING = 2.0, 20.0


def take_signals() -> None:
    """Answers SIGTERM, SIGINT and SIGUSR1 from now on; called once, by the entry point's first lines."""
    heard, written = os.pipe()
    for end in (heard, written):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _noted)
    os.register_at_fork(after_in_child=_ignore_in_workers)
    threading.Thread(target=_watch, args=(heard,), name="signals", daemon=True).start()


def go_on_with(line: Callable[[], str]) -> None:
    """Sets what is said when a signal ends the process: the command that starts or continues the run."""
    global _line
    _line = line


def started_from_outside(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun, Slurm or a person starts all processes, so that none can tell the others what it decides."""
    return any(name in environ for name in ("RANK", "NODE_RANK", "SLURM_PROCID"))


def is_first(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is the run's first process, on the first machine, whoever starts the processes."""
    ranks = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(environ.get(name, "0") == "0" for name in ranks)


def _noted(number: int, frame: FrameType | None) -> None:
    """Python needs a function here for the kernel's notice to reach the thread."""


def _ignore_in_workers() -> None:
    """A signal to all processes of a terminal or job is for the one that trains; it tells its workers to end."""
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _watch(heard: int) -> None:
    """Runs for ever: answers signals and, where another process started this one, ends with that."""
    parent = launcher_pid()
    interrupts = 0
    while True:
        ready, _, _ = select.select([heard], [], [], None if parent is None else 1.0)
        for number in os.read(heard, 64) if ready else b"":
            interrupts += number == signal.SIGINT
            _answer(number, interrupts, parent)
        if parent is not None and os.getppid() != parent:
            _end_alone()


def _answer(number: int, interrupts: int, parent: int | None) -> None:
    if number not in SIGNALS:
        return
    if number == signal.SIGINT and interrupts > 1:
        _leave(STOPPED_AT_ONCE, "stopped at once, nothing more was saved. Go on with:")
    if TRAINING.is_set():
        return
    if parent is not None:
        os.kill(parent, signal.SIGTERM)  # the first process speaks for all, and its end ends this one
        return
    _leave(INTERRUPTED, f"stopped by {signal.Signals(number).name} before there was anything to save. Go on with:")


def _end_alone() -> None:
    if errors_folder() is not None:  # else the first process ended as it should, and has said all there is to say
        atexit.register(_say_alone)  # behind the traceback of what this process thinks of it
        time.sleep(_GRACE_IN_TRAINING if TRAINING.is_set() else _GRACE)
        _say_alone()
    os._exit(FAILURE)


def _say_alone() -> None:
    with suppress(OSError):
        os.write(2, b"run.py: process 0 has ended, so this process ends too\n")
    if folder := errors_folder():
        shutil.rmtree(folder, ignore_errors=True)


def _leave(code: int, why: str) -> None:
    if is_first():
        flush = threading.Thread(target=sys.stdout.flush, daemon=True)  # the main thread may be in the middle of it
        flush.start()
        flush.join(1.0)
        with suppress(OSError):
            os.write(1, f"\n{why}\n  {_line()}\n".encode())
    remove_errors_folder()
    os._exit(code)
