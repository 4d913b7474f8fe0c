"""The base class of all data modules: stages, and loaders whose order and augmentation are stateless."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, default_collate

from datamodules.errors import DataError
from datamodules.io.home_folder import expand_home
from datamodules.loading.loader import batch_loader, loader_processes
from datamodules.loading.sampler import EvalBatches, TrainBatches
from datamodules.loading.shard import Shard
from datamodules.loading.shard_window import ShardWindow
from datamodules.stage import Stage

_log = logging.getLogger("darkroom")


class ImageDataModule(LightningDataModule, ABC):
    """Loaders at the size of a stage, whose order and augmentation are a function of (seed, epoch, index).

    A subclass defines the data sets (``train_set``, ``val_set``, ``test_set``). This class defines their order, their
    batches, and how they are divided among processes. A stage's ``batch_size`` counts over all processes.

    Args:
        root: folder of the data; ``None`` uses the task's sample images.
        seed: seed of the order and the augmentation, 0 or more.
        num_workers: loader processes per training process, at most the number of usable cores; ``"auto"`` leaves one
            core to each training process and takes at most 8.
        cache_dir: folder of the cache; ``None`` is the user's cache folder.
        timeout: seconds that the loader processes may take for a batch, for example while a file server does not
            respond; 0 waits without a limit.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        *,
        root: Path | None = None,
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        cache_dir: Path | None = None,
        timeout: float = 300.0,
    ) -> None:
        super().__init__()
        if seed < 0:
            raise ValueError(f"seed must be at least 0, not {seed}")
        if num_workers != "auto" and num_workers < 0:
            raise ValueError(f"num_workers must be at least 0 or 'auto', not {num_workers}")
        if timeout < 0:
            raise ValueError(f"timeout is in seconds and must be at least 0, not {timeout:g}")
        self.root, self.cache_dir = _expand(root), _expand(cache_dir)
        self.seed, self.num_workers = seed, num_workers
        self.timeout = timeout
        self.planned: Sequence[Stage] = ()  # stages that `prepare_data` prepares
        self.skipped: Sequence[str] = ()  # a line for each file that cannot be used and is left out
        self._digest = ""  # of the files' names, sizes and modification times; empty if they are not watched
        self._stage: Stage | None = None

    @property
    def stage(self) -> Stage:
        """The stage of the next loaders.

        Raises:
            DataError: if none was set.
        """
        if self._stage is None:
            raise DataError("the data module has no stage yet: call set_stage(Stage(...)) before asking for a loader")
        return self._stage

    @property
    def augmentation(self) -> str:
        """The transforms of the training images, for reports; empty by default."""
        return ""

    def group_of(self, name: str) -> str:
        """The group of an image, whose images are never divided between splits; by default the image itself."""
        return name

    def set_stage(self, stage: Stage) -> None:
        """Sets the stage of the next loaders; existing loaders do not change."""
        self._stage = stage

    def check_stages(self, stages: Sequence[Stage]) -> None:
        """Refuses stages that these data cannot be trained in; by default those that crop.

        Raises:
            DataError: naming the stage.
        """
        for stage in stages:
            if stage.crop is not None:
                raise DataError(f"stage '{stage.name}': crop is for segmentation; leave it out, size is enough here")

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint: the digest of the files."""
        return {"digest": self._digest} if self._digest else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Warns if the files are not those of the checkpoint."""
        first = self.trainer is None or self.trainer.is_global_zero
        if first and self._digest and state_dict.get("digest", self._digest) != self._digest:
            _log.warning(
                "THE DATA HAVE CHANGED since the run was saved: files were added or removed, or their size or "
                "modification time changed. The run continues with the changed data; its result will differ"
            )

    def measured(self) -> dict[str, int]:
        """What was measured on the data and belongs to the record of a checkpoint; known after ``setup``."""
        return {}

    def use_measured(self, record: Mapping[str, Any]) -> None:
        """Takes what was measured for a checkpoint from its record, before the data are read; by default nothing."""

    def prepare_data(self) -> None:
        """Prepares the planned stages, on one process of every machine, while the others wait."""
        if self.planned:
            self.check_stages(self.planned)
            self.prepare(self.planned)

    @property
    def has_training_images(self) -> bool:
        """Whether there are training images: all may be held out for an evaluation. Known after ``setup``."""
        return True

    @abstractmethod
    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The training images of a stage, indexed by ``Key``."""

    @abstractmethod
    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The validation images at the stage's size, without augmentation."""

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The test images as published metrics are computed on them; by default the validation images."""
        return self.val_set(stage)

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the whole data set and fills the cache for ``stages``; by default nothing.

        Raises:
            DataError: naming everything that is wrong with the data.
        """

    def window(self, stage: Stage) -> ShardWindow | None:  # noqa: ARG002 - for subclasses
        """How training images in tar shards are shuffled; ``None`` shuffles the whole set."""
        return None

    def prepare_shard(self, stages: Sequence[Stage], shard: Shard) -> None:  # noqa: ARG002 - for subclasses
        """Checks and caches the files of a shard, so that several processes or hosts prepare one data set.

        What a shard cannot know alone, such as statistics and duplicates, is left to ``prepare``, which reads the
        results of all shards.

        Raises:
            DataError: naming what is wrong with the files of the shard, or if these data have no shards.
        """
        raise DataError(f"{type(self).__name__} cannot be prepared in shards: leave --shard out")

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Makes a batch of test samples; overridden where targets differ in size."""
        batch: dict[str, Any] = default_collate(samples)
        return batch

    def steps_per_epoch(self, stage: Stage) -> int:
        """Optimizer steps in one epoch of ``stage``, the same for any number of processes."""
        return length_of(self.train_set(stage)) // stage.batch_size

    def dry_run_batch(self, stage: Stage) -> Any:
        """First batch of ``stage`` of one process, loaded in this process, to try the stage before the run starts."""
        data = self.train_set(stage)
        keys = next(iter(self._train_batches(stage, data)))
        return self.on_after_batch_transfer(default_collate([data[key] for key in keys]), dataloader_idx=0)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled, resumable batches of this process."""
        data = self.train_set(self.stage)
        epoch, start = self._progress()
        return self._loader(data, self._train_batches(self.stage, data, epoch, start))

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation image once."""
        data = self.val_set(self.stage)
        return self._loader(data, self._eval_batches(data))

    def test_dataloader(self) -> DataLoader[Any]:
        """Every test image once."""
        data = self.test_set(self.stage)
        return self._loader(data, self._eval_batches(data), collate=self.collate_test)

    def _loader(
        self,
        data: Dataset[dict[str, Any]],
        batches: TrainBatches | EvalBatches,
        collate: Callable[[list[Any]], Any] = default_collate,
    ) -> DataLoader[Any]:
        return batch_loader(data, batches, workers=self._workers(), timeout=self.timeout, collate=collate)

    def _train_batches(
        self, stage: Stage, data: Dataset[dict[str, Any]], epoch: int = 0, start: int = 0
    ) -> TrainBatches:
        rank, world = self._rank_and_world()
        return TrainBatches(
            length=length_of(data),
            batch_size=stage.batch_size,
            seed=self.seed,
            rank=rank,
            world=world,
            accumulate=self.trainer.accumulate_grad_batches if self.trainer else 1,
            epoch=epoch,
            start=start,
            repeat=getattr(self.trainer, "overfit_batches", 0) > 0,  # Lightning does not declare it
            window=self.window(stage),
        )

    def _eval_batches(self, data: Dataset[dict[str, Any]]) -> EvalBatches:
        rank, world = self._rank_and_world()
        length = length_of(data)
        if not length:
            raise DataError("there is no image to validate on: raise --data.val_share, or add images to your own split")
        return EvalBatches(length=length, batch_size=self.eval_batch_size(world), rank=rank, world=world)

    def eval_batch_size(self, world: int) -> int:
        """Images per batch of one of ``world`` processes in validation and test."""
        return max(1, self.stage.batch_size // world)

    def _workers(self) -> int:
        return loader_processes(self.num_workers, processes=self.trainer.num_devices if self.trainer else 1)

    def _rank_and_world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _progress(self) -> tuple[int, int]:
        """The trainer's epoch, and the batches of it that are done.

        On resume ``trainer.current_epoch`` is still 0 when loaders are made, but the progress of the loops is restored.
        """
        if self.trainer is None:
            return 0, 0
        loop: Any = self.trainer.fit_loop
        epoch = loop.epoch_progress.current.processed
        # At the end of an epoch `ready` still counts its batches, and `completed` lags behind `processed`. Within an
        # epoch, the epoch is started and not processed.
        within_epoch = loop.epoch_progress.current.started > epoch
        return epoch, loop.epoch_loop.batch_progress.current.ready if within_epoch else 0


def length_of(data: Dataset[Any]) -> int:
    """Length of a data set; ``Dataset`` declares no ``__len__``."""
    return len(data)  # type: ignore[arg-type]


def _expand(folder: Path | None) -> Path | None:
    """Replaces a leading ``~`` by the home folder, unless there is a folder of that name."""
    return folder if folder is None or folder.exists() else expand_home(folder)
