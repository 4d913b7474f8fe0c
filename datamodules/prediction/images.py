"""Any pictures, one at a time, at their own size and depth, to be enlarged or mended."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from datamodules.batches import PhotoBatch
from datamodules.errors import DataError
from datamodules.io.full_depth import read_colours
from datamodules.io.image import read_image
from datamodules.prediction.image_list import Listed

_UNREADABLE = 16  # side of the black picture that stands for one that cannot be read


class PhotoPredictSet(Dataset[PhotoBatch]):
    """Reads pictures one by one; one that cannot be read becomes a batch that says why.

    Args:
        pictures: what to read.
        keep_pictures: whether batches carry the picture in 8 bits too, to be shown.
    """

    def __init__(self, *, pictures: Sequence[Listed], keep_pictures: bool) -> None:
        self.pictures, self.keep_pictures = pictures, keep_pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> PhotoBatch:
        """Reads picture ``index``; never raises for what is wrong with a file."""
        listed = self.pictures[index]
        problem, picture, size = "", None, (0, 0)
        image = torch.zeros(3, _UNREADABLE, _UNREADABLE, dtype=torch.uint8)
        try:
            colours = read_colours(listed.path)
            picture = read_image(listed.path) if self.keep_pictures else None
            size = (colours.shape[0], colours.shape[1])
            whole = colours if colours.dtype == np.uint8 else colours.astype(np.int32)
            image = torch.from_numpy(np.ascontiguousarray(whole.transpose(2, 0, 1)))
        except DataError as error:
            problem, picture = str(error), None
        return PhotoBatch(
            image=image[None],
            picture=[picture],
            size=[size],
            index=[index],
            path=[str(listed.path)],
            name=[listed.name],
            problem=[problem],
        )


class PhotoPredictData(LightningDataModule):
    """Shares pictures out over the processes, each exactly once.

    The trainer must have ``use_distributed_sampler=False``: the stock one is not needed.

    Args:
        pictures: what to read.
        num_workers: processes that read.
        keep_pictures: as in ``PhotoPredictSet``.
    """

    def __init__(self, *, pictures: Sequence[Listed], num_workers: int, keep_pictures: bool) -> None:
        super().__init__()
        # Set after super(), which sets it too: a rank may get no picture at all, since the list is never padded.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.data = PhotoPredictSet(pictures=pictures, keep_pictures=keep_pictures)
        self.num_workers = num_workers

    def predict_dataloader(self) -> DataLoader[PhotoBatch]:
        """This process' pictures, every ``world``-th one, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(
            self.data,
            sampler=range(rank, len(self.data), world),
            batch_size=None,  # a picture is a batch
            collate_fn=as_it_is,  # the stock one would make a tensor of the picture kept
            num_workers=self.num_workers,
            prefetch_factor=1 if self.num_workers else None,
        )


def as_it_is(batch: Any) -> Any:
    """Gives what it gets: torch's type for collating knows lists of samples only."""
    return batch
