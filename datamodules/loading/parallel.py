"""One function over many files: a pool of processes, a progress bar, and every bad file named."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import wait
from threading import Thread
from typing import TypeVar

import cv2
from tqdm import tqdm

from datamodules.errors import DataError

_NAMED = 20  # bad files spelt out in one message
_CHUNK = 8
_BAR_AFTER_SECONDS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores that this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_files(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, title: str
) -> list[Result | DataError]:
    """Calls ``function`` on every item; a ``DataError`` is kept in the item's place, so that one bad file stops none.

    Args:
        function: must be importable by name, as the pool sends it to its processes.
        items: what to call it on.
        workers: processes; with 0 or 1, or few items, the work is done here.
        title: said in front of the progress bar.

    Returns:
        Results in the order of ``items``.
    """
    call = partial(_call, function)
    if workers <= 1 or len(items) <= _CHUNK:
        return list(_with_bar(map(call, items), len(items), title))
    pool = ProcessPoolExecutor(min(workers, len(items)), initializer=_start_worker)
    try:
        return list(_with_bar(pool.map(call, items, chunksize=_CHUNK), len(items), title))
    finally:
        pool.shutdown(cancel_futures=True)


def raise_together(outcomes: Iterable[object]) -> None:
    """Raises one error for all the errors among ``outcomes``: their number, and the first twenty of them.

    Raises:
        DataError: if there was any.
    """
    errors = [str(outcome) for outcome in outcomes if isinstance(outcome, DataError)]
    if len(errors) == 1:
        raise DataError(errors[0])
    if errors:
        more = [f"... and {len(errors) - _NAMED} more"] if len(errors) > _NAMED else []
        raise DataError("\n  ".join([f"{len(errors)} files cannot be used:", *errors[:_NAMED], *more]))


def _call(function: Callable[[Item], Result], item: Item) -> Result | DataError:
    try:
        return function(item)
    except DataError as error:
        return error


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer, once
    # The pool keeps every core busy. Not 1: in a forked process that waits for threads the parent had, for ever.
    cv2.setNumThreads(0)
    Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """Without this the workers of a killed run would wait for work until the machine is switched off."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _with_bar(results: Iterable[Result], total: int, title: str) -> Iterator[Result]:
    return iter(tqdm(results, total=total, desc=title, unit="file", delay=_BAR_AFTER_SECONDS))
