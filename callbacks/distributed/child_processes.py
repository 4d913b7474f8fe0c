"""Looks after the processes this one has started: none outlives a failure, and what failed first is said last."""

import atexit
import faulthandler
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from callbacks.distributed.error_files import all_left, first_left, is_cause, left_by
from callbacks.distributed.exit_codes import BY_FORCE, DONE, FAILURE, INTERRUPTED

#: Seconds in which processes may end by themselves after one has failed, and after one has said why.
GRACE, GRACE_WHEN_KNOWN = 20.0, 5.0
#: Seconds the first process waits for the others when all went well.
PATIENCE = 600.0
#: Exit codes that are no failure.
FINE = (DONE, INTERRUPTED, BY_FORCE)


class Siblings:
    """The other processes of this machine, watched from their start until this process ends.

    Args:
        processes: in the order of their numbers, beginning with 1.
        errors: folder in which processes leave their errors; removed at the end.
    """

    def __init__(self, processes: Sequence["subprocess.Popen[bytes]"], errors: Path) -> None:
        self.processes, self.errors = list(processes), errors
        self._lock = threading.Lock()
        self._over = False
        atexit.register(self.conclude)  # after the interpreter has printed the traceback of this process
        threading.Thread(target=self._watch, daemon=True, name="siblings").start()

    def forget(self) -> None:
        """Lets them go without a word."""
        with self._lock:
            self._end()

    def conclude(self, *, hangs: bool = False) -> None:
        """Waits for the others, ends those that do not end by themselves, and says what failed first.

        Args:
            hangs: whether this process was waited for in vain.
        """
        with self._lock:
            if self._over:
                return
            self._wait()
            hanging = [rank for rank, process in self._numbered() if process.poll() is None]
            killed = {rank: process.returncode for rank, process in self._numbered() if self._failed(process)}
            self._stop()
            said = self._first_error(killed, [0, *hanging] if hangs else hanging)
            complained = left_by(self.errors, 0) is not None
            # This process has said its own, and the others, if they said anything, the same.
            agreed = complained and said and {_what(said)} == {_what(text) for text in all_left(self.errors)}
            self._end()
            if said and not agreed:
                sys.stdout.flush()
                print(f"\nrun.py: {said}", file=sys.stderr, flush=True)
            if hangs or (said and not complained):  # it would wait for ever, or end as if all were well
                os._exit(FAILURE)

    def _watch(self) -> None:
        failed_at: float | None = None
        while not self._over:
            if failed_at is None and any(map(self._failed, self.processes)):
                failed_at = time.monotonic()
            if failed_at is not None and time.monotonic() > failed_at + GRACE:
                if not self._known():
                    faulthandler.dump_traceback()
                self.conclude(hangs=True)
            time.sleep(0.5)

    def _wait(self) -> None:
        start = time.monotonic()
        while any(process.poll() is None for process in self.processes):
            failed = first_left(self.errors) is not None or any(map(self._failed, self.processes))
            if time.monotonic() > start + (GRACE_WHEN_KNOWN if self._known() else GRACE if failed else PATIENCE):
                return
            time.sleep(0.1)

    def _stop(self) -> None:
        """Ends those that still run; where nobody knows why, to be aborted makes them say where they are."""
        for number in (signal.SIGKILL,) if self._known() else (signal.SIGABRT, signal.SIGKILL):
            running = [process for process in self.processes if process.poll() is None]
            for process in running:
                process.send_signal(number)
            deadline = time.monotonic() + 3
            while any(process.poll() is None for process in running) and time.monotonic() < deadline:
                time.sleep(0.1)

    def _known(self) -> bool:
        left = first_left(self.errors)
        return left is not None and is_cause(left)

    def _first_error(self, killed: dict[int, int], hanging: Sequence[int]) -> str | None:
        left = first_left(self.errors)
        if left is not None and is_cause(left):
            return left.read_text(encoding="utf-8").rstrip()
        # What is left only says that another process is gone: which one and how is known here.
        silent = {rank: code for rank, code in killed.items() if left_by(self.errors, rank) is None}
        for rank, code in silent.items():
            return f"process {rank} failed first: {_how_it_ended(code)}"
        if hanging:
            return f"process {hanging[0]} did not answer the others and was ended; where it hung is said above"
        return left.read_text(encoding="utf-8").rstrip() if left is not None else None

    def _numbered(self) -> list[tuple[int, "subprocess.Popen[bytes]"]]:
        return list(enumerate(self.processes, start=1))

    @staticmethod
    def _failed(process: "subprocess.Popen[bytes]") -> bool:
        return process.poll() not in (None, *FINE)

    def _end(self) -> None:
        self._over = True
        shutil.rmtree(self.errors, ignore_errors=True)


def _what(left: str) -> str:
    """What a process left, without the line that says which one it was."""
    return (left.partition("\n")[2] or left).strip()


def _how_it_ended(code: int) -> str:
    """Says what an exit code tells.

    >>> _how_it_ended(3)
    'it ended with code 3'
    >>> _how_it_ended(-9)
    'it was killed by SIGKILL without a word, as the system does when memory runs out'
    """
    if code >= 0:
        return f"it ended with code {code}"
    name = signal.Signals(-code).name
    return f"it was killed by {name} without a word" + (
        ", as the system does when memory runs out" if name == "SIGKILL" else ""
    )
