"""An order of samples that reads few tar shards at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ShardWindow:
    """Shuffles the shards, and then the samples of each ``window`` shards in a row.

    Disks, file servers and page caches then read a few files from end to end instead of single images from all over the
    set. The price is that images of one shard stay closer together than in a complete shuffle, so shards should be
    written in random order. The same idea is called a shuffle block in MosaicML's Streaming.

    Args:
        samples: number of samples in each shard, in the order of their index.
        window: shards in one window, at least 1.
    """

    samples: tuple[int, ...]
    window: int

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """Permutation of all samples, a function of (seed, epoch).

        Args:
            seed: the run's seed, 0 or more.
            epoch: counted from 0 over the whole run.

        Returns:
            ``(sum of samples,)`` int64.
        """
        # The 2 separates this stream of random numbers from those of complete shuffles and of augmentation.
        random = np.random.default_rng((seed, epoch, 0, 2))
        ends = np.cumsum(self.samples)
        shards = random.permutation(len(self.samples))
        windows = [
            np.concatenate([np.arange(ends[shard] - self.samples[shard], ends[shard]) for shard in some])
            for some in np.split(shards, range(self.window, len(shards), self.window))
        ]
        return np.concatenate([random.permutation(window) for window in windows]).astype(np.int64)
