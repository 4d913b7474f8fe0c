"""Monitors the child ranks: terminates all of them if one fails, and prints the original error last."""

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

from callbacks.distributed.error_files import error_of_rank, first_error, is_cause, program_name, read_errors
from callbacks.distributed.exit_codes import DONE, FAILURE, INTERRUPTED, STOPPED_AT_ONCE

#: Seconds in which all processes may end by themselves after one failed: if no cause is recorded yet, and if one is.
GRACE, GRACE_AFTER_CAUSE = 20.0, 5.0
#: Seconds that rank 0 waits for the others if nothing failed.
PATIENCE = 600.0
_NO_FAILURE = (DONE, INTERRUPTED, STOPPED_AT_ONCE)


class ChildProcesses:
    """The other ranks of this machine, monitored from their start until this process ends.

    Args:
        processes: in the order of their local ranks, beginning with 1.
        errors: folder in which the ranks record their errors, see ``error_files``. Removed at the end.
    """

    def __init__(self, processes: Sequence["subprocess.Popen[bytes]"], errors: Path) -> None:
        self.processes, self.errors = list(processes), errors
        self._lock = threading.Lock()
        self._finished = False
        atexit.register(self.finish)  # runs after the interpreter has printed the traceback of this process
        threading.Thread(target=self._monitor, daemon=True, name="child processes").start()

    def release(self) -> None:
        """Stops monitoring without a report."""
        with self._lock:
            self._clean_up()

    def finish(self, *, rank_0_hangs: bool = False) -> None:
        """Waits for the other ranks, terminates those that do not end by themselves, and prints the original error.

        Args:
            rank_0_hangs: whether this process itself did not end in time.
        """
        with self._lock:
            if self._finished:
                return
            self._wait()
            hanging = [rank for rank, process in self._by_rank() if process.poll() is None]
            failed = {rank: process.returncode for rank, process in self._by_rank() if self._failed(process)}
            self._terminate()
            error = self._original_error(failed, [0, *hanging] if rank_0_hangs else hanging)
            own_error_recorded = error_of_rank(self.errors, 0) is not None
            # If all ranks recorded the same error, rank 0 has printed it already.
            same = own_error_recorded and error and {_body(error)} == set(map(_body, read_errors(self.errors)))
            self._clean_up()
            if error and not same:
                sys.stdout.flush()
                print(f"\n{program_name()}: {error}", file=sys.stderr, flush=True)
            if rank_0_hangs or (error and not own_error_recorded):  # else it would hang, or end with exit code 0
                os._exit(FAILURE)

    def _monitor(self) -> None:
        failed_at: float | None = None
        while not self._finished:
            if failed_at is None and any(map(self._failed, self.processes)):
                failed_at = time.monotonic()
            if failed_at is not None and time.monotonic() > failed_at + GRACE:
                if not self._cause_is_known():
                    faulthandler.dump_traceback()
                self.finish(rank_0_hangs=True)
            time.sleep(0.5)

    def _wait(self) -> None:
        start = time.monotonic()
        while any(process.poll() is None for process in self.processes):
            failed = first_error(self.errors) is not None or any(map(self._failed, self.processes))
            limit = GRACE_AFTER_CAUSE if self._cause_is_known() else GRACE if failed else PATIENCE
            if time.monotonic() > start + limit:
                return
            time.sleep(0.1)

    def _terminate(self) -> None:
        """Kills the ranks that still run. If no cause is known, SIGABRT makes them print their tracebacks first."""
        if not self._cause_is_known() and sys.platform != "win32":
            for process in self.processes:
                process.send_signal(signal.SIGABRT)
            self._wait_seconds(3)
        for process in self.processes:
            process.kill()
        self._wait_seconds(3)

    def _wait_seconds(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in self.processes) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _cause_is_known(self) -> bool:
        first = first_error(self.errors)
        return first is not None and is_cause(first)

    def _original_error(self, failed: dict[int, int], hanging: Sequence[int]) -> str | None:
        first = first_error(self.errors)
        if first is not None and is_cause(first):
            return first.read_text(encoding="utf-8").rstrip()
        # The recorded errors only report that another rank is gone. Exit codes tell which one.
        for rank, code in failed.items():
            if error_of_rank(self.errors, rank) is None:
                return f"process {rank} failed first: {_describe_exit(code)}"
        if hanging:
            return f"process {hanging[0]} did not respond and was terminated; its traceback is printed above"
        return first.read_text(encoding="utf-8").rstrip() if first is not None else None

    def _by_rank(self) -> list[tuple[int, "subprocess.Popen[bytes]"]]:
        return list(enumerate(self.processes, start=1))

    @staticmethod
    def _failed(process: "subprocess.Popen[bytes]") -> bool:
        return process.poll() not in (None, *_NO_FAILURE)

    def _clean_up(self) -> None:
        self._finished = True
        shutil.rmtree(self.errors, ignore_errors=True)


def _body(error: str) -> str:
    """The recorded text without its first line, which names the rank."""
    return (error.partition("\n")[2] or error).strip()


def _describe_exit(code: int) -> str:
    """Describes the exit code of a process that recorded no error.

    >>> _describe_exit(3)
    'it ended with code 3'
    >>> _describe_exit(-9)
    'it was killed by SIGKILL, which the system sends when memory runs out'
    """
    if code >= 0:
        return f"it ended with code {code}"
    name = signal.Signals(-code).name
    return f"it was killed by {name}" + (", which the system sends when memory runs out" if name == "SIGKILL" else "")
