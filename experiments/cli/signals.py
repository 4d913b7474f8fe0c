"""Handles signals from the first line of the program: before training has begun, the process ends at once.

Python runs signal handlers between two bytecode instructions, so a process that waits for another rank inside torch
would not run them for hours. ``signal.set_wakeup_fd`` passes the number of the signal to a thread that waits for
nothing else. This module imports no torch: importing it takes seconds in which a signal may arrive.
"""

import atexit
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

from callbacks.distributed.error_files import errors_folder, launcher_pid, program_name, remove_errors_folder
from callbacks.distributed.exit_codes import FAILURE, INTERRUPTED, SIGNALS, STOPPED_AT_ONCE, is_ignored
from datamodules.io.atomic_file import remove_temporary
from experiments.runs.command_line import current_command

#: Set while ``SaveOnSignal`` handles the signals: the step is then completed and saved first.
TRAINING = threading.Event()
_resume_command: Callable[[], str] = current_command
_progress = " before there was anything to save. Continue with:"
#: Grace period in seconds for a child rank after its parent died. Longer during training, so that it can finish the
#: step and report its connection error.
_GRACE, _GRACE_IN_TRAINING = 2.0, 20.0


def install_handlers() -> None:
    """Handles ``SIGNALS`` from now on; called once, by the first lines of the entry point.

    SIGHUP stays ignored under ``nohup``. SIGINT is handled even where a shell script started the program in the
    background and had it ignored: a script that sends it wants the run to stop.
    """
    receiver, sender = socket.socketpair()  # Windows can wait for sockets only
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
    for number in SIGNALS:
        if not is_ignored(number):
            signal.signal(number, _do_nothing)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_ignore_in_workers)
    threading.Thread(target=_watch, args=(receiver,), name="signals", daemon=True).start()


def ignore_signals() -> None:
    """Keeps the exit code of a command that has ended: while Python shuts down, it restores the default handlers."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def set_resume_command(command: Callable[[], str]) -> None:
    """Sets the command that is printed if a signal ends the process: it starts or resumes the run."""
    global _resume_command
    _resume_command = command


def writes_files() -> None:
    """Notes that the command writes files one by one, and so has results before it ends."""
    global _progress
    _progress = "; the files written before it are complete. Start again with:"


def is_started_externally(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun, Slurm or a user starts all ranks, so that rank 0 cannot pass its decisions to the others."""
    return any(name in environ for name in ("RANK", "NODE_RANK", "SLURM_PROCID"))


def is_first_rank(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is rank 0 on the first node, however the ranks are started."""
    ranks = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(environ.get(name, "0") == "0" for name in ranks)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Python writes to the wakeup descriptor only for signals that have a handler."""


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _ignore_in_workers() -> None:
    """Forked processes ignore signals to the process group; the main process ends them.

    The signals stay blocked, since ``DataLoader`` installs its own handler for SIGTERM afterwards.
    """
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _watch(receiver: socket.socket) -> None:
    """Handles signals as they arrive, and ends a child rank whose parent has died."""
    parent = launcher_pid()
    interrupts = 0
    while True:
        ready, _, _ = select.select([receiver], [], [], None if parent is None else 1.0)
        for number in receiver.recv(64) if ready else b"":
            interrupts += number == signal.SIGINT
            _handle(number, interrupts, parent)
        if parent is not None and os.getppid() != parent:
            _exit_as_orphan()


def _handle(number: int, interrupts: int, parent: int | None) -> None:
    if number not in SIGNALS:
        return
    if number == signal.SIGINT and interrupts > 1:
        _exit(STOPPED_AT_ONCE, "stopped at once, nothing more was saved. Continue with:")
    if TRAINING.is_set():
        return
    if parent is not None:
        os.kill(parent, signal.SIGTERM)  # rank 0 prints the message, and this rank ends with it
        return
    _exit(INTERRUPTED, f"stopped by {signal.Signals(number).name}{_progress}")


def _exit_as_orphan() -> None:
    if errors_folder() is not None:  # otherwise rank 0 ended regularly and has printed its message
        atexit.register(_report_orphan)  # after the traceback of a connection error
        time.sleep(_GRACE_IN_TRAINING if TRAINING.is_set() else _GRACE)
        _report_orphan()
    os._exit(FAILURE)


def _report_orphan() -> None:
    with suppress(OSError):
        os.write(2, f"{program_name()}: process 0 has ended, so this process ends too\n".encode())
    if folder := errors_folder():
        shutil.rmtree(folder, ignore_errors=True)


def _exit(code: int, reason: str) -> None:
    if is_first_rank():
        flush = threading.Thread(target=sys.stdout.flush, daemon=True)  # the main thread may hold its lock
        flush.start()
        flush.join(1.0)
        with suppress(OSError):
            os.write(1, f"\n{reason}\n  {_resume_command()}\n".encode(errors="surrogateescape"))
    remove_errors_folder()
    remove_temporary()
    os._exit(code)
