"""Stateless randomness: what is drawn follows from (seed, epoch, index) and from nothing that happened before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Key:
    """Names one sample of one epoch. Data sets are asked for keys, so a worker needs no state to know the epoch."""

    epoch: int
    index: int


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Seeds the augmentation of one sample, the same on every machine, in every worker and after every restart.

    Args:
        seed: the run's seed, 0 or more.
        epoch: counted from 0 over the whole run.
        index: place of the image in its data set.

    Returns:
        A number of 32 bits; neighbouring arguments give unrelated numbers.
    """
    return int(np.random.SeedSequence((seed, epoch, index)).generate_state(1)[0])


def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """Shuffles ``range(length)`` for one epoch.

    Args:
        seed: the run's seed, 0 or more.
        epoch: counted from 0 over the whole run.
        length: images in the data set.

    Returns:
        ``(length,)`` int64, a permutation.
    """
    # The 1 keeps the order's stream apart from the augmentation of sample 0.
    return np.random.default_rng((seed, epoch, 0, 1)).permutation(length)
