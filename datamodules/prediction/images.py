"""Any images, one at a time, at their own size and depth, to be enlarged or mended."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from datamodules.batches import ImageBatch
from datamodules.errors import DataError
from datamodules.io.image import read_image
from datamodules.io.native_depth import read_native_depth
from datamodules.prediction.image_list import Listed

_UNREADABLE = 16  # side of the black image that stands for one that cannot be read


class ImagePredictSet(Dataset[ImageBatch]):
    """Reads images one by one; one that cannot be read becomes a batch that says why.

    Args:
        images: what to read.
        keep_originals: whether batches carry the image in 8 bits too, to be shown.
    """

    def __init__(self, *, images: Sequence[Listed], keep_originals: bool) -> None:
        self.images, self.keep_originals = images, keep_originals

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> ImageBatch:
        """Reads image ``index``; never raises for what is wrong with a file."""
        listed = self.images[index]
        problem, original, size = "", None, (0, 0)
        image = torch.zeros(3, _UNREADABLE, _UNREADABLE, dtype=torch.uint8)
        try:
            colors = read_native_depth(listed.path)
            original = read_image(listed.path) if self.keep_originals else None
            size = (colors.shape[0], colors.shape[1])
            whole = colors if colors.dtype == np.uint8 else colors.astype(np.int32)
            image = torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1)))
        except DataError as error:
            problem, original = str(error), None
        return ImageBatch(
            image=image[None],
            original=[original],
            size=[size],
            index=[index],
            path=[str(listed.path)],
            name=[listed.name],
            problem=[problem],
        )


class ImagePredictData(LightningDataModule):
    """Shares images out over the processes, each exactly once.

    The trainer must have ``use_distributed_sampler=False``: the stock one is not needed.

    Args:
        images: what to read.
        num_workers: processes that read.
        keep_originals: as in ``ImagePredictSet``.
    """

    def __init__(self, *, images: Sequence[Listed], num_workers: int, keep_originals: bool) -> None:
        super().__init__()
        # Set after super(), which sets it too: a rank may get no image at all, since the list is never padded.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.data = ImagePredictSet(images=images, keep_originals=keep_originals)
        self.num_workers = num_workers

    def predict_dataloader(self) -> DataLoader[ImageBatch]:
        """This process' images, every ``world``-th one, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(
            self.data,
            sampler=range(rank, len(self.data), world),
            batch_size=None,  # an image is a batch
            collate_fn=as_it_is,  # the stock one would make a tensor of the image kept
            num_workers=self.num_workers,
            prefetch_factor=1 if self.num_workers else None,
        )


def as_it_is(batch: Any) -> Any:
    """Gives what it gets: torch's type for collating knows lists of samples only."""
    return batch
