"""What the data modules of all tasks share: stages, stateless loaders, sharing out over processes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules.errors import DataError
from datamodules.loading.parallel import usable_cores
from datamodules.loading.sampler import EvalBatches, TrainBatches
from datamodules.stage import Stage

_log = logging.getLogger("darkroom")


class ImageDataModule(LightningDataModule, ABC):
    """Loaders that know their stage, and whose order and augmentation follow from (seed, epoch, index) alone.

    A subclass says what the images are (``train_set`` and its sisters); this class says in which order, in which
    batches and on which process they come. ``batch_size`` is the stage's and counts over all processes.

    Args:
        root: folder of the data; ``None`` uses the task's sample images.
        seed: seed of the order and the augmentation, 0 or more.
        num_workers: loader processes per training process; ``"auto"`` leaves one core to each training process and
            takes at most 8.
        cache_dir: folder of the cache; ``None`` is the user's cache folder.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        cache_dir: Path | None = None,
    ) -> None:
        super().__init__()
        self.root, self.seed, self.cache_dir = root, seed, cache_dir
        self.num_workers = num_workers
        self.planned: Sequence[Stage] = ()  # what a fit will ask for; prepared before it starts
        self.skipped: Sequence[str] = ()  # files that are left out since they cannot be used, a line each
        self._digest = ""  # of the files, where a subclass watches over them
        self._stage: Stage | None = None

    @property
    def stage(self) -> Stage:
        """The stage whose size and batch the next loaders have.

        Raises:
            DataError: if none was set.
        """
        if self._stage is None:
            raise DataError("the data module has no stage yet: call set_stage(Stage(...)) before asking for a loader")
        return self._stage

    def set_stage(self, stage: Stage) -> None:
        """Lets every loader made from now on follow ``stage``; loaders that exist are not changed."""
        self._stage = stage

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint remembers of the data: a digest of their files."""
        return {"digest": self._digest} if self._digest else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Says so if the files are not those that the run was saved with."""
        first = self.trainer is None or self.trainer.is_global_zero
        if first and self._digest and state_dict.get("digest", self._digest) != self._digest:
            _log.warning(
                "THE DATA HAVE CHANGED since the run was saved: files were added or removed, or changed by size or "
                "time. It goes on with them as they are, and will not end as it would have"
            )

    def prepare_data(self) -> None:
        """Prepares what is planned, on one process of every machine, while the others wait."""
        if self.planned:
            self.prepare(self.planned)

    @abstractmethod
    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The training images as ``stage`` wants them, asked for by ``Key``."""

    @abstractmethod
    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The validation images at the stage's size, never augmented."""

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The test images as published metrics are computed on them; by default the validation images."""
        return self.val_set(stage)

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the whole data set and fills the caches that ``stages`` will read; by default nothing.

        Raises:
            DataError: naming everything that is wrong with the data.
        """

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Puts test samples together; a subclass whose targets differ in size has its own way."""
        batch: dict[str, Any] = default_collate(samples)
        return batch

    def steps_per_epoch(self, stage: Stage) -> int:
        """Optimiser steps of one epoch of ``stage``, on any number of processes."""
        return length_of(self.train_set(stage)) // stage.batch_size

    def dry_run_batch(self, stage: Stage) -> Any:
        """One process' first batch of ``stage``, loaded here and now, to try the stage before the run starts."""
        data = self.train_set(stage)
        keys = next(iter(self._train_batches(stage, data)))
        return default_collate([data[key] for key in keys])

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled, resumable batches of this process."""
        data = self.train_set(self.stage)
        epoch, start = self._progress()
        return self._loader(data, self._train_batches(self.stage, data, epoch=epoch, start=start), default_collate)

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation image once."""
        return self._eval_loader(self.val_set(self.stage), default_collate)

    def test_dataloader(self) -> DataLoader[Any]:
        """Every held-out image once."""
        return self._eval_loader(self.test_set(self.stage), self.collate_test)

    def _eval_loader(self, data: Dataset[dict[str, Any]], collate: Any) -> DataLoader[Any]:
        rank, world = self._place()
        batch_size = max(1, self.stage.batch_size // world)
        length = length_of(data)
        if not length:
            raise DataError("there is no image to validate on: see data.val_share, or the split of your own")
        batches = EvalBatches(length=length, batch_size=batch_size, rank=rank, world=world)
        return self._loader(data, batches, partial(_collate_any, collate))

    def _train_batches(
        self, stage: Stage, data: Dataset[dict[str, Any]], *, epoch: int = 0, start: int = 0
    ) -> TrainBatches:
        rank, world = self._place()
        return TrainBatches(
            length=length_of(data),
            batch_size=stage.batch_size,
            seed=self.seed,
            rank=rank,
            world=world,
            accumulate=self.trainer.accumulate_grad_batches if self.trainer else 1,
            epoch=epoch,
            start=start,
        )

    def _loader(
        self, data: Dataset[dict[str, Any]], batches: TrainBatches | EvalBatches, collate: Any
    ) -> DataLoader[Any]:
        workers = self._workers()
        return ResumableLoader(
            data,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=one_thread,
        )

    def _workers(self) -> int:
        return loader_processes(self.num_workers, processes=self.trainer.num_devices if self.trainer else 1)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _progress(self) -> tuple[int, int]:
        """Epoch, and batches of it that are done, where the trainer stands or was resumed.

        ``trainer.current_epoch`` is still 0 here on resume; the loops' own progress is restored before they
        ask for their loader.
        """
        if self.trainer is None:
            return 0, 0
        loop: Any = self.trainer.fit_loop
        epoch = loop.epoch_progress.current.processed
        # At an epoch's end `ready` still counts the finished epoch's batches: `completed` epochs lag `processed`
        # there. In the middle of an epoch the epoch was started and not processed.
        in_the_middle = loop.epoch_progress.current.started > epoch
        return epoch, loop.epoch_loop.batch_progress.current.ready if in_the_middle else 0


def length_of(data: Dataset[Any]) -> int:
    """Number of samples: torch's type does not declare ``__len__``, which all our datasets have."""
    return len(cast(Sized, data))


def _collate_any(collate: Callable[[list[Any]], Any], samples: list[Any]) -> Any:
    """Puts samples together; where there is none, all there is to say is that no image has a name."""
    return collate(samples) if samples else {"name": []}


class ResumableLoader(DataLoader[Any]):
    """A loader whose place follows from the trainer's own progress.

    Lightning takes any loader without these two methods for one that cannot be resumed, and warns.
    """

    def state_dict(self) -> dict[str, Any]:
        """Nothing: see ``ImageDataModule._progress``."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing, likewise."""


def loader_processes(wanted: int | Literal["auto"], *, processes: int) -> int:
    """How many processes load for one training process.

    Args:
        wanted: that many; ``"auto"`` leaves one core to each training process and takes up to 8.
        processes: training processes on this machine.
    """
    if wanted != "auto":
        return wanted
    return max(0, min(8, usable_cores() // max(1, processes) - 1))


def one_thread(_worker: int) -> None:
    """Keeps OpenCV's own threads out of loader processes, which are already one a core."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
