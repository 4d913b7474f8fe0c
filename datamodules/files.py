"""Options and steps shared by the data modules that read image files."""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from datamodules.base import ImageDataModule
from datamodules.cache.cache import ImageCache, Item
from datamodules.cache.location import user_cache_dir
from datamodules.errors import DataError
from datamodules.index.duplicates import OnDuplicates, report_duplicates
from datamodules.index.problems import OnBad
from datamodules.index.splits import SPLIT_SEED, Split
from datamodules.io.bit_depth import FULL_BITS, Bits, check_bits, measure_bits, recorded_bits
from datamodules.loading.shard_window import ShardWindow
from datamodules.storage.stored_images import StoredImages, open_stored, samples_by_shard


class FileDataModule(ImageDataModule):
    """A data module whose images are files: checked once, split by name, and cached at the sizes of the stages.

    Args:
        keep_pct: fraction of the images that is used, above 0 and up to 1, for quick experiments.
        split_seed: selects the images to keep and to hold out; independent of ``seed``, so that runs with different
            seeds share their validation images.
        cache_gb: size limit of the cache of resized images in gigabytes (1e9 bytes). A set whose copies at the size of
            a stage take more is decoded every time, and so are images that no longer fit beside other sets. The same
            limit holds for copies of remote tar shards.
        on_bad: ``"error"`` stops if a file cannot be used; ``"skip"`` leaves such files out if they are at most 1 % of
            the images, and lists them in the run folder. A file that changes during a run always stops it.
        duplicates: ``"warn"`` logs images that are in two splits, byte by byte the same; ``"error"`` stops.
        bits: bits that the values of 16-bit files use, from 8 to 16: ``2**bits - 1`` is white. ``"auto"`` takes the
            smallest of 8, 10, 12, 14 and 16 that holds the values of all images of the set, and the checkpoint keeps
            it for ``test`` and ``predict``.
        shard_window: if the images lie in tar shards, the number of shards that are read at a time: the shards are
            shuffled, and the images of each so many shards in a row. ``None`` shuffles the whole set.
        **options: of ``ImageDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        *,
        keep_pct: float = 1.0,
        split_seed: int = SPLIT_SEED,
        cache_gb: float = 20.0,
        on_bad: OnBad = "error",
        duplicates: OnDuplicates = "warn",
        bits: Bits = FULL_BITS,
        shard_window: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not 0 < keep_pct <= 1:
            raise ValueError(f"keep_pct must be above 0 and at most 1, not {keep_pct}")
        if not cache_gb >= 0:  # also refuses nan
            raise ValueError(f"cache_gb must be at least 0, not {cache_gb}")
        if shard_window is not None and shard_window < 1:
            raise ValueError(f"shard_window must be at least 1, not {shard_window}")
        self._keep_pct, self._split_seed = keep_pct, split_seed
        self._shard_window = shard_window
        self._on_bad, self._on_duplicates = on_bad, duplicates
        self._given_bits = check_bits(bits)
        self._bits, self._bits_measured = self._given_bits, False
        self._cache_folder = self.cache_dir or user_cache_dir()
        self._checks = self._cache_folder / "checks"
        self.cache = ImageCache(self._cache_folder / "images", limit_gb=cache_gb)

    @cached_property
    def stored(self) -> StoredImages | None:
        """The images in the tar shards or behind the URL that ``root`` names; ``None`` for a folder of images.

        Raises:
            DataError: if they cannot be used.
        """
        if self.root is None:
            return None
        return open_stored(
            self.root,
            results=self._checks,
            copies=self._cache_folder / "shards",
            limit_gb=self.cache.limit_gb,
            workers=self._preparing_workers(),
        )

    def data_root(self) -> Path:
        """The folder of the images, or of the tar shards, absolute.

        Raises:
            DataError: if it is not named or does not exist.
        """
        if self.root is None:
            return self.sample_root().absolute()
        if self.stored is not None:
            return self.stored.root
        if not self.root.is_dir():
            raise DataError(
                f"the data root {self.root} is not a folder: name an existing one with --data.root FOLDER, or "
                "tar shards"
            )
        return self.root.absolute()

    def sample_root(self) -> Path:
        """The folder of the images that are used where no root is named.

        Raises:
            DataError: if there are none.
        """
        raise DataError("no data: name the folder of your images with --data.root FOLDER")

    @property
    def measures_bits(self) -> bool:
        """Whether the bits of 16-bit files are still to be measured."""
        return self._bits == "auto"

    @property
    def bits(self) -> int:
        """The bits that 16-bit files use; 16 until they are measured."""
        return FULL_BITS if self._bits == "auto" else self._bits

    def decide_bits(self, largest: Iterable[int | None]) -> int:
        """Measures the bits that 16-bit files use, unless they are given.

        Args:
            largest: largest stored value of each image of the set; ``None`` for images of 8 bits.
        """
        measured = measure_bits(largest)
        self._bits_measured = measured is not None
        if self._bits == "auto":
            self._bits = measured or FULL_BITS
        return self.bits

    def measured(self) -> dict[str, int]:
        """For the record of checkpoints: the bits by which 16-bit files were read, if there were any."""
        return {"bits": self.bits} if self._bits_measured else {}

    def use_measured(self, record: Mapping[str, Any]) -> None:
        """Takes the bits that were measured for a checkpoint, unless they are given.

        Raises:
            DataError: if they are no number of bits.
        """
        if self._bits == "auto" and "bits" in record:
            self._bits = recorded_bits(record)

    def check_duplicates(self, root: Path, splits: Mapping[Split, Sequence[Path]]) -> None:
        """Reports images that are in more than one split.

        Raises:
            DataError: if there are any and ``duplicates`` is ``"error"``.
        """
        report_duplicates(
            root, splits, results=self._checks, on_duplicates=self._on_duplicates, workers=self._preparing_workers()
        )

    def _shard_order(self, paths: Iterable[Path], *, samples: int = 1) -> ShardWindow | None:
        """The order of training images in tar shards, each of which gives so many consecutive samples."""
        if self._shard_window is None or not (counts := samples_by_shard(paths)):
            return None
        return ShardWindow(tuple(count * samples for count in counts), self._shard_window)

    def _fill_cache(self, items: Sequence[Item], size: int, shape: str, *, parts: int = 1) -> None:
        """Writes the copies that are missing, and reports it.

        Args:
            items: the files.
            size: size of the copies.
            shape: the size, for the report.
            parts: number of shards that fill the cache with as many files each.
        """
        start = time.monotonic()
        copies = self.cache.fill(items, size, workers=self._preparing_workers(), parts=parts)
        found = f"ready after {time.monotonic() - start:.1f} s in {self.cache.folder}" if copies else "no copies"
        print(f"  cache at {shape}: {found}")

    def _preparing_workers(self) -> int:
        """Processes for work before the training: all cores, since nothing trains yet."""
        return self._workers() + 1
