"""Images for ``predict``, at the network's size or at their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.batches import PredictBatch
from datamodules.cache.encodings import proportional_shape
from datamodules.errors import DataError
from datamodules.io.bands import BandLayout, to_rgb
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import image_size, read_image
from datamodules.io.native_depth import read_native_depth
from datamodules.io.resize import resize_bands
from datamodules.io.tensors import image_tensor
from datamodules.loading.loader import WatchedLoader
from datamodules.loading.workers import start_worker
from datamodules.prediction.image_list import Listed
from datamodules.prediction.network_input import network_input

_UNREADABLE = 16  # side of the black image that replaces one that cannot be read


@dataclass(frozen=True, kw_only=True)
class ShownBands:
    """Images that are not RGB, and the channels that results show.

    Args:
        layout: where the channels are.
        shown: indices of three channels.
    """

    layout: BandLayout
    shown: tuple[int, ...]

    def rgb(self, path: Path) -> NDArray[np.uint8]:
        """The shown channels of an image as colors ``(H, W, 3)``.

        Raises:
            DataError: if it cannot be read.
        """
        return to_rgb(self.layout.read(path), self.shown)


@dataclass(frozen=True, kw_only=True)
class PredictSample:
    """One image; the fields are those of ``PredictBatch``."""

    image: Tensor
    original: NDArray[np.uint8] | None
    size: tuple[int, int]
    index: int
    listed: Listed
    problem: str


class PredictDataset(Dataset[PredictSample]):
    """Reads images; one that cannot be read becomes a sample that states why.

    Args:
        images: the files.
        size: side of the square that every image is resized to, as in training: float32 in [0, 1]. ``None`` keeps each
            image's own size and depth: uint8, or int32 from 0 to 65535 if the file has 16 bits.
        whole: whether images keep their proportions; ``size`` is then the largest length of their shorter side, and
            they are uint8, since they may be large.
        keep_originals: whether samples also hold the image at its own size, in 8 bits.
        bands: reads images that are not RGB; only with a ``size``.
        bits: bits that the values of 16-bit RGB files use; fewer than 16 are scaled to the full range.
    """

    def __init__(
        self,
        *,
        images: Sequence[Listed],
        size: int | None,
        whole: bool = False,
        keep_originals: bool,
        bands: ShownBands | None = None,
        bits: int = FULL_BITS,
    ) -> None:
        self.images, self.size, self.whole, self.keep_originals = images, size, whole, keep_originals
        self.bands, self.bits = bands, bits

    def __len__(self) -> int:
        return len(self.images)

    def name(self, index: int) -> str:
        """File of the sample, for messages."""
        return str(self.images[index].path)

    def __getitem__(self, index: int) -> PredictSample:
        """Reads image ``index``; raises nothing if the file cannot be used."""
        listed, problem = self.images[index], ""
        original: NDArray[np.uint8] | None = None
        try:
            image, size = self._read(listed)
            if self.keep_originals:
                read = partial(read_image, bits=self.bits) if self.bands is None else self.bands.rgb
                original = read(listed.path)
        except DataError as error:
            problem, size = str(error), (0, 0)
            image = self._blank()
        return PredictSample(image=image, original=original, size=size, index=index, listed=listed, problem=problem)

    def _read(self, listed: Listed) -> tuple[Tensor, tuple[int, int]]:
        """The network's input, and the image's height and width as displayed."""
        if self.size is not None and self.bands is not None:
            return self._read_bands(self.bands.layout, listed.path, self.size)
        if self.size is not None:
            # Decoded in the same way whether or not originals are kept, so that the mask does not depend on it.
            pixels, displayed = read_image(listed.path, for_size=self.size, bits=self.bits), image_size(listed.path)
            return network_input(pixels, self.size, whole=self.whole, displayed=displayed), displayed
        colors = read_native_depth(listed.path, bits=self.bits)
        values = colors if colors.dtype == np.uint8 else colors.astype(np.int32)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1))), (colors.shape[0], colors.shape[1])

    def _blank(self) -> Tensor:
        """Takes the place of an image that cannot be read."""
        channels = 3 if self.bands is None else self.bands.layout.channels
        side = self.size or _UNREADABLE  # the network's least size may be larger than that of the fallback
        whole = self.size is None or self.whole
        return torch.zeros(channels, side, side, dtype=torch.uint8 if whole else torch.float32)

    def _read_bands(self, layout: BandLayout, path: Path, size: int) -> tuple[Tensor, tuple[int, int]]:
        channels = layout.read(path)
        height, width = channels.shape[:2]
        shape = proportional_shape(height, width, size) if self.whole else (size, size)
        return image_tensor(resize_bands(channels, *shape)), (height, width)


def collate_predict(samples: Sequence[PredictSample]) -> PredictBatch:
    """Stacks the images; fields whose sizes differ stay lists."""
    return PredictBatch(
        image=torch.stack([sample.image for sample in samples]),
        original=[sample.original for sample in samples],
        size=[sample.size for sample in samples],
        index=[sample.index for sample in samples],
        path=[str(sample.listed.path) for sample in samples],
        name=[sample.listed.name for sample in samples],
        problem=[sample.problem for sample in samples],
    )


class PredictDataModule(LightningDataModule):
    """Divides images among the processes, each exactly once.

    The trainer must have ``use_distributed_sampler=False``, since torch's sampler repeats images.

    Args:
        images: the files.
        size: side of the square that every image is resized to; ``None`` keeps their own sizes, one image per batch.
        whole: whether images keep their proportions, one image per batch; ``size`` then limits their shorter side.
        batch_size: images per batch of one process.
        num_workers: loader processes.
        keep_originals: whether batches also hold the images at their own size, in 8 bits.
        timeout: seconds that the loader processes may take for a batch; 0 waits without a limit.
        bands: reads images that are not RGB; only with a ``size``.
        bits: bits that the values of 16-bit RGB files use; fewer than 16 are scaled to the full range.
    """

    def __init__(
        self,
        *,
        images: Sequence[Listed],
        size: int | None = None,
        whole: bool = False,
        batch_size: int = 1,
        num_workers: int,
        keep_originals: bool,
        timeout: float = 0.0,
        bands: ShownBands | None = None,
        bits: int = FULL_BITS,
    ) -> None:
        super().__init__()
        # After super(), which sets it too: a rank may have no images, since the list is not padded.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.data = PredictDataset(
            images=images, size=size, whole=whole, keep_originals=keep_originals, bands=bands, bits=bits
        )
        self.batch_size, self.num_workers, self.timeout = batch_size, num_workers, timeout

    def predict_dataloader(self) -> DataLoader[PredictSample]:
        """The images of this process, every ``world``-th one, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        native = self.data.size is None or self.data.whole  # then images may be large, and only one is read ahead
        return WatchedLoader(
            self.data,
            sampler=range(rank, len(self.data), world),
            batch_size=1 if native else self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate_predict,
            prefetch_factor=1 if native and self.num_workers else None,
            pin_memory=torch.cuda.is_available() and not native,
            worker_init_fn=start_worker,
            timeout=self.timeout if self.num_workers else 0,
        )
