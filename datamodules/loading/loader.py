"""The data loader of every split, and how many processes it has."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules.loading.parallel import usable_cores
from datamodules.loading.sampler import EvalBatches, TrainBatches

MAX_WORKERS = 8  # of "auto"


class ResumableLoader(DataLoader[Any]):
    """A data loader whose position follows from the trainer's own progress (``ImageDataModule._progress``).

    Lightning takes a loader without ``state_dict`` for one that cannot be resumed, and warns.
    """

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
    collate: Callable[[list[Any]], Any] = default_collate,
) -> ResumableLoader:
    """Loads ``batches`` of ``data``.

    Args:
        data: samples by ``Key``.
        batches: the keys of every batch.
        workers: loader processes; 0 loads in this process.
        collate: makes a batch of samples; an empty list of samples becomes ``{"name": []}`` without it.
    """
    return ResumableLoader(
        data,
        batch_sampler=batches,
        collate_fn=partial(_collate, collate),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=limit_threads,
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


def limit_threads(_worker: int) -> None:
    """Switches off the threads of OpenCV and torch in a loader process: there is one process per core."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _collate(collate: Callable[[list[Any]], Any], samples: list[Any]) -> Any:
    return collate(samples) if samples else {"name": []}
