"""The data loader of every split, and how many processes it has."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from math import inf
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Literal, Protocol, runtime_checkable
from weakref import ref

import torch
from torch.utils.data import DataLoader, Dataset, default_collate
from torch.utils.data.dataloader import _BaseDataLoaderIter, _MultiProcessingDataLoaderIter

from datamodules.errors import LoaderTimeoutError
from datamodules.loading.parallel import usable_cores
from datamodules.loading.sampler import EvalBatches, TrainBatches
from datamodules.loading.workers import kill_workers, kill_workers_at_exit, start_worker

MAX_WORKERS = 8  # of "auto"
#: Set while a run is asked to stop: loaders then wait for a batch for ``_STOPPING`` seconds at most.
STOP_REQUESTED = Event()
_STOPPING, _POLL = 30.0, 1.0


@runtime_checkable
class NamedSamples(Protocol):
    """A data set whose samples have names."""

    def name(self, key: Any) -> str:
        """Name of the file of sample ``key``, for messages."""
        ...


class WatchedLoader(DataLoader[Any]):
    """A data loader that names the files of a batch that does not arrive within ``timeout`` seconds.

    Raises:
        LoaderTimeoutError: while iterating; the loader processes are killed then.
    """

    advice = "check that they and their disk can be read"

    def _get_iterator(self) -> _BaseDataLoaderIter:
        if self.num_workers == 0:
            return super()._get_iterator()
        kill_workers_at_exit()
        self.check_worker_number_rationality()
        return _WatchedIterator(self)


class _WatchedIterator(_MultiProcessingDataLoaderIter):
    def __init__(self, loader: WatchedLoader) -> None:
        self._batches, self._advice = loader.batch_sampler or (), loader.advice
        self._start: float | None = None  # of the wait for a batch
        self._stopping: float | None = None  # when this wait first met STOP_REQUESTED
        super().__init__(loader)
        Thread(target=_kill_stuck, args=(ref(self),), daemon=True, name="loader").start()

    def _get_data(self) -> Any:
        """As torch's method, which cannot be told to wait less."""
        self._start, self._stopping = monotonic(), None
        try:
            while True:
                arrived, data = self._try_get_data(_POLL)  # type: ignore[no-untyped-call]
                if arrived:
                    return data
                if self._pin_memory and not self._pin_memory_thread.is_alive():
                    raise RuntimeError("the thread that copies batches into pinned memory has ended")
                if limit := self.passed_limit():
                    kill_workers()  # they may wait for a file server without end
                    raise LoaderTimeoutError(self._missing(limit))
        except (OSError, EOFError, RuntimeError) as error:  # of a connection to a process that _kill_stuck has killed
            if isinstance(error, LoaderTimeoutError) or not (limit := self.passed_limit()):
                raise
            kill_workers()  # those that are left
            raise LoaderTimeoutError(self._missing(limit)) from None
        finally:
            self._start = None

    def passed_limit(self, *, grace: float = 0.0) -> float | None:
        """The limit in seconds that the wait for a batch has passed by ``grace`` seconds; ``None`` if it has not."""
        start, now = self._start, monotonic()
        if start is None:
            return None
        self._stopping = (self._stopping or now) if STOP_REQUESTED.is_set() else None
        limits = ((start, self._timeout or inf), (self._stopping, _STOPPING))
        return next((limit for since, limit in limits if since is not None and now - since >= limit + grace), None)

    def _missing(self, seconds: float) -> str:
        keys = next(islice(self._batches, self._rcvd_idx, None), [])
        data = self._dataset
        names = [data.name(key) if isinstance(data, NamedSamples) else str(key) for key in keys]
        return (
            f"the loader processes returned nothing for {seconds:g} s. The batch that is missing has the files "
            f"{', '.join(names)}: {self._advice}"
        )


def _kill_stuck(reference: "ref[_WatchedIterator]") -> None:
    """Kills the loader processes if the limit has passed and the wait has not ended by itself.

    A batch that has arrived consists of handles: the memory behind them is fetched from the loader process, without a
    limit of time. If that process stands still, its death ends the wait.
    """
    while (iterator := reference()) is not None:
        if iterator.passed_limit(grace=3 * _POLL):
            kill_workers()
            return
        del iterator
        sleep(_POLL)


class ResumableLoader(WatchedLoader):
    """A data loader whose position follows from the trainer's own progress (``ImageDataModule._progress``).

    Lightning takes a loader without ``state_dict`` for one that cannot be resumed, and warns.
    """

    advice = f"{WatchedLoader.advice}, or raise --data.timeout"

    def state_dict(self) -> dict[str, Any]:
        """Empty: there is nothing to save."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Ignores ``state``, which is empty."""


def batch_loader(
    data: Dataset[dict[str, Any]],
    batches: TrainBatches | EvalBatches,
    *,
    workers: int,
    timeout: float = 0.0,
    collate: Callable[[list[Any]], Any] = default_collate,
) -> ResumableLoader:
    """Loads ``batches`` of ``data``.

    Args:
        data: samples by ``Key``.
        batches: the keys of every batch.
        workers: loader processes; 0 loads in this process.
        timeout: seconds that a batch may take in the loader processes; 0 waits without a limit.
        collate: makes a batch of samples; an empty list of samples becomes ``{"name": []}`` without it.
    """
    return ResumableLoader(
        data,
        batch_sampler=batches,
        collate_fn=partial(_collate, collate),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_worker,
        timeout=timeout if workers else 0,
    )


def loader_processes(requested: int | Literal["auto"], *, processes: int) -> int:
    """Number of loader processes of one training process.

    Args:
        requested: this number, but at most the usable cores; ``"auto"`` leaves one core to each training process and
            takes at most 8.
        processes: training processes on this machine.
    """
    cores = usable_cores()
    if requested != "auto":
        return min(requested, cores)
    return max(0, min(MAX_WORKERS, cores // max(1, processes) - 1))


def _collate(collate: Callable[[list[Any]], Any], samples: list[Any]) -> Any:
    return collate(samples) if samples else {"name": []}
