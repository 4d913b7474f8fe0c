"""Batches of keys for one process: shuffled by (seed, epoch), startable at any batch, never padded.

Randomness is stateless: what is drawn depends on (seed, epoch, index) and on nothing that was drawn before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from datamodules.errors import DataError
from datamodules.loading.shard_window import ShardWindow


@dataclass(frozen=True, slots=True)
class Key:
    """One sample of one epoch. Data sets are indexed by keys, so a loader process needs no state to know the epoch."""

    epoch: int
    index: int


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Seed of the augmentation of one sample, the same on every machine, in every process and after every restart.

    Args:
        seed: the run's seed, 0 or more.
        epoch: counted from 0 over the whole run.
        index: index of the image in its data set.

    Returns:
        A number of 32 bits; neighboring arguments give unrelated numbers.
    """
    # A tenth of the time of numpy.random.SeedSequence, which was a tenth of the time of a sample of 128 pixels.
    return int.from_bytes(blake2b(f"{seed} {epoch} {index}".encode(), digest_size=4).digest(), "little")


def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """Permutation of ``range(length)`` for one epoch.

    Args:
        seed: the run's seed, 0 or more.
        epoch: counted from 0 over the whole run.
        length: images in the data set.

    Returns:
        ``(length,)`` int64.
    """
    # The 1 separates this stream of random numbers from that of sample 0's augmentation.
    return np.random.default_rng((seed, epoch, 0, 1)).permutation(length)


class TrainBatches(Sampler[list[Key]]):
    """The training batches of one process, a function of (seed, epoch).

    An optimizer step takes ``batch_size`` images over all processes and accumulated batches, so a recipe means the
    same on one device or eight. The incomplete batch at the end of an epoch is dropped; its images differ by epoch.

    Args:
        length: images in the training set.
        batch_size: images per optimizer step over all processes.
        seed: the run's seed.
        rank: rank of this process.
        world: number of processes.
        accumulate: batches per optimizer step.
        epoch: epoch of the first pass; Lightning sets the later ones through ``set_epoch``.
        start: batches of the first epoch that were already trained on, for a run that is resumed in its middle.
        repeat: whether every epoch has the samples of epoch 0, augmentation included, as ``overfit_batches`` needs it.
        window: shuffles within windows of tar shards; ``None`` shuffles the whole set.

    Raises:
        DataError: if the set is empty, or ``batch_size`` is larger than the set or cannot be divided evenly.
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
        repeat: bool = False,
        window: ShardWindow | None = None,
    ) -> None:
        if not length:
            raise DataError("there are no training images; data.val_share 1 is for validate and test only")
        if batch_size > length:
            raise DataError(
                f"batch_size {batch_size} is larger than the training set of {length} images: "
                f"set the stage's batch_size to {length} or less"
            )
        if batch_size % (world * accumulate):
            raise DataError(
                f"batch_size {batch_size} is the number of images per step over all processes and cannot be divided "
                f"among {world} processes x {accumulate} accumulated batches: use a multiple of {world * accumulate}"
            )
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.rank, self.world, self.accumulate = rank, world, accumulate
        self.epoch = self._first_epoch = epoch
        self._start, self._repeat, self._window = start, repeat, window

    @property
    def sampler(self) -> "TrainBatches":
        """Itself: Lightning looks for ``set_epoch`` at ``loader.batch_sampler.sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch whose order the next pass has."""
        self.epoch = epoch

    def __len__(self) -> int:
        """All batches of an epoch, those before ``start`` included."""
        return self.length // self.batch_size * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        epoch = 0 if self._repeat else self.epoch
        window = self._window
        order = window.order(self.seed, epoch) if window else epoch_order(self.seed, epoch, self.length)
        share = self.batch_size // self.accumulate  # images of all processes in one forward pass
        first = self._start if self.epoch == self._first_epoch else 0
        for batch in range(first, len(self)):
            own = order[batch * share : (batch + 1) * share][self.rank :: self.world]
            yield [Key(epoch, int(index)) for index in own]


class EvalBatches(Sampler[list[Key]]):
    """Every image exactly once, in order, divided among the processes without padding.

    torch's ``DistributedSampler`` repeats images until all ranks have the same number, which biases the mean over a
    validation set. A rank without images gets one empty batch: Lightning would skip the evaluation on a rank without
    batches, and the collective operations of the other ranks would wait for it without end.

    Args:
        length: images in the set.
        batch_size: images per batch of this process.
        rank: rank of this process.
        world: number of processes.
    """

    def __init__(self, *, length: int, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self._indices = range(rank, length, world)
        self._batch_size = batch_size

    def __len__(self) -> int:
        return max(1, -(-len(self._indices) // self._batch_size))

    def __iter__(self) -> Iterator[list[Key]]:
        for first in range(0, max(1, len(self._indices)), self._batch_size):
            yield [Key(0, index) for index in self._indices[first : first + self._batch_size]]
