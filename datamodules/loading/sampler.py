"""Batches of keys for one process: shuffled by epoch, startable at any batch, never padded."""

from collections.abc import Iterator

from torch.utils.data import Sampler

from datamodules.errors import DataError
from datamodules.loading.randomness import Key, epoch_order


class TrainBatches(Sampler[list[Key]]):
    """The training batches of one process, a pure function of (seed, epoch).

    Every step takes ``batch_size`` images over all processes and accumulated batches, so a recipe means the
    same on one device or eight. What is left at the end of an epoch's order is dropped: each epoch leaves out others.

    Args:
        length: images in the training set.
        batch_size: images per optimiser step over all processes.
        seed: the run's seed.
        rank: number of this process.
        world: number of processes.
        accumulate: batches per optimiser step.
        epoch: epoch of the first pass; Lightning moves it on through ``set_epoch``.
        start: batches of that first epoch that were already trained on, for a run resumed in the middle.

    Raises:
        DataError: if ``batch_size`` is larger than the set or cannot be shared out evenly.
    """

    def __init__(
        self,
        *,
        length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        accumulate: int = 1,
        epoch: int = 0,
        start: int = 0,
    ) -> None:
        if batch_size > length:
            raise DataError(
                f"batch_size {batch_size} is larger than the training set of {length} images: "
                f"set the stage's batch_size to {length} or less"
            )
        if batch_size % (world * accumulate):
            raise DataError(
                f"batch_size {batch_size} is the number of images per step over all processes and cannot be shared "
                f"by {world} processes x {accumulate} accumulated batches: take a multiple of {world * accumulate}"
            )
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self.epoch = self._first_epoch = epoch
        self._start = start

    @property
    def sampler(self) -> "TrainBatches":
        """Lets Lightning find ``set_epoch`` where it looks for it: at ``loader.batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        """All batches of an epoch, those before ``start`` counted too."""
        return self.length // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        order = epoch_order(self.seed, self.epoch, self.length)
        share = self.batch_size // self.accumulate  # images of all processes in one forward pass
        first = self._start if self.epoch == self._first_epoch else 0
        for batch in range(first, len(self)):
            mine = order[batch * share : (batch + 1) * share][self.rank :: self.world]
            yield [Key(self.epoch, int(index)) for index in mine]


class EvalBatches(Sampler[list[Key]]):
    """Every image exactly once, in order, shared out over the processes without padding.

    Stock ``DistributedSampler`` repeats images until all ranks have the same number, which makes the mean
    over a validation set wrong by the repeated ones. A process for which no image is left gets one batch of none:
    Lightning leaves a process without batches out of the evaluation, and the others would wait for it for ever.

    Args:
        length: images in the set.
        batch_size: images per batch of this process.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(self, *, length: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self._mine = range(rank, length, world)
        self._batch_size = batch_size

    def __len__(self) -> int:
        return max(1, -(-len(self._mine) // self._batch_size))

    def __iter__(self) -> Iterator[list[Key]]:
        for first in range(0, max(1, len(self._mine)), self._batch_size):
            yield [Key(0, index) for index in self._mine[first : first + self._batch_size]]
