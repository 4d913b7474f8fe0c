"""Processes that load data: they ignore signals to the whole process group, and none outlives the process it serves."""

import atexit
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from functools import cache
from multiprocessing.connection import wait
from threading import Thread, current_thread, main_thread

import cv2

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 1.0


def start_worker(_worker: int = 0) -> None:
    """Prepares a process that was just started to load data.

    A terminal, systemd and Slurm send signals to all processes of a group. Only the main process acts on them; it
    needs its workers until the step is done and saved. ``DataLoader`` installs a handler for SIGTERM that ends a
    worker, so this function replaces it.
    """
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # There is one process per core. Not 1: in a forked process, that waits without end for threads of the parent.
    cv2.setNumThreads(0)
    gc.freeze()  # objects of the parent are not searched for cycles, which would write to each and copy its memory
    _end_with_parent()


@cache
def kill_workers_at_exit() -> None:
    """Makes this process kill the workers that are still alive when it ends.

    ``multiprocessing`` sends them SIGTERM and waits without a limit. A worker that ignores SIGTERM, is stopped, or
    waits for a file server that is gone would keep this process.
    """
    atexit.register(kill_workers)  # runs before the handler of multiprocessing, which was registered earlier


def kill_workers() -> None:
    """Kills the workers of this process."""
    workers = [process for process in multiprocessing.active_children() if process.daemon]
    # Only the main thread may set a handler; it is interrupted by torch's if another thread calls this function.
    if workers and hasattr(signal, "SIGCHLD") and current_thread() is main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler would raise an error for each
    for worker in workers:
        worker.kill()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    # SIGKILL also ends a worker that is stopped. Linux sends it when the *thread* ends that forked the worker.
    if sys.platform == "linux" and current_thread().name == "MainThread" and os.getppid() == parent.pid:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    Thread(target=_exit_after_parent, args=(os.getppid(), parent.sentinel), daemon=True).start()


def _exit_after_parent(parent_pid: int, sentinel: int) -> None:
    # Workers started later inherit the other end of the sentinel's pipe, so the parent's id is compared as well.
    while not wait([sentinel], timeout=_POLL_SECONDS) and os.getppid() == parent_pid:
        pass
    os._exit(1)
