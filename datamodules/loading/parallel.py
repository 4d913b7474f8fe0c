"""Calls one function on many files: in a pool of processes, with a progress bar, naming every bad file."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeVar

from tqdm import tqdm

from datamodules.errors import DataError
from datamodules.loading.workers import start_worker

_NAMED = 20  # bad files that a message names
_CHUNK = 8
_BAR_AFTER_SECONDS = 1.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """CPU cores that this process may use; on a shared machine it may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_files(
    function: Callable[[Item], Result], items: Sequence[Item], *, workers: int, title: str
) -> list[Result | DataError]:
    """Calls ``function`` on every item; a ``DataError`` takes the place of a result, so that no file stops the others.

    Args:
        function: importable by name, since it is sent to the processes of the pool.
        items: arguments of the calls.
        workers: processes; with 0 or 1, or few items, the work is done in this process.
        title: of the progress bar.

    Returns:
        Results in the order of ``items``.
    """
    call = partial(_call, function)
    if workers <= 1 or len(items) <= _CHUNK:
        return list(_with_bar(map(call, items), len(items), title))
    pool = ProcessPoolExecutor(min(workers, len(items)), initializer=start_worker)
    try:
        return list(_with_bar(pool.map(call, items, chunksize=_CHUNK), len(items), title))
    finally:
        pool.shutdown(cancel_futures=True)


def raise_together(outcomes: Iterable[object]) -> None:
    """Raises one error for all errors among ``outcomes``: their number, and the first twenty.

    Raises:
        DataError: if there are any.
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


def _with_bar(results: Iterable[Result], total: int, title: str) -> Iterator[Result]:
    return iter(tqdm(results, total=total, desc=title, unit="file", delay=_BAR_AFTER_SECONDS))
