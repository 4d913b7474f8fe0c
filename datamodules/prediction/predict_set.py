"""Any images to batches for prediction, squashed to the net's size as in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.batches import PredictBatch
from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import resize_image
from datamodules.prediction.image_list import Listed


@dataclass(frozen=True, kw_only=True)
class PredictSample:
    """One image; the fields are those of ``PredictBatch``."""

    image: Tensor
    original: NDArray[np.uint8] | None
    size: tuple[int, int]
    index: int
    listed: Listed
    problem: str


class PredictSet(Dataset[PredictSample]):
    """Reads images one by one; one that cannot be read becomes a sample that says why.

    What the net sees is decoded in the same way whether or not the full image is wanted too, so that a mask does
    not depend on what else is written.

    Args:
        images: what to read.
        size: side of the square the net sees, in pixels.
        keep_originals: whether samples carry the image at its own size (for cut-outs) and not only that size.
    """

    def __init__(self, *, images: Sequence[Listed], size: int, keep_originals: bool) -> None:
        self.images, self.size, self.keep_originals = images, size, keep_originals

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> PredictSample:
        """Reads image ``index``; never raises for what is wrong with a file."""
        listed = self.images[index]
        problem, size, original = "", (0, 0), None
        image = torch.zeros(3, self.size, self.size)
        try:
            small = resize_image(read_image(listed.path, min_side=self.size), self.size)
            original = read_image(listed.path) if self.keep_originals else None
            size = image_size(listed.path)
            image = torch.from_numpy(small).permute(2, 0, 1).float() / 255
        except DataError as error:
            problem, original = str(error), None
        return PredictSample(image=image, original=original, size=size, index=index, listed=listed, problem=problem)


def collate_predict(samples: Sequence[PredictSample]) -> PredictBatch:
    """Puts samples together; what differs in size stays a list."""
    return PredictBatch(
        image=torch.stack([sample.image for sample in samples]),
        original=[sample.original for sample in samples],
        size=[sample.size for sample in samples],
        index=[sample.index for sample in samples],
        path=[str(sample.listed.path) for sample in samples],
        name=[sample.listed.name for sample in samples],
        problem=[sample.problem for sample in samples],
    )


class PredictData(LightningDataModule):
    """Shares images out over the processes, each exactly once.

    The trainer must have ``use_distributed_sampler=False``: the stock one is not needed.

    Args:
        images: what to read.
        size: side of the square the net sees, in pixels.
        batch_size: images at once on one process.
        num_workers: processes that read.
        keep_originals: as in ``PredictSet``.
    """

    def __init__(
        self, *, images: Sequence[Listed], size: int, batch_size: int, num_workers: int, keep_originals: bool
    ) -> None:
        super().__init__()
        # Set after super(), which sets it too: a rank may get no image at all, since the list is never padded.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.data = PredictSet(images=images, size=size, keep_originals=keep_originals)
        self.batch_size, self.num_workers = batch_size, num_workers

    def predict_dataloader(self) -> DataLoader[PredictSample]:
        """This process' images, every ``world``-th one, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(
            self.data,
            sampler=range(rank, len(self.data), world),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate_predict,
            pin_memory=torch.cuda.is_available(),
        )
