"""A video's frames for a trainer that predicts, one after the other: the next is read when the one before is done."""

from collections.abc import Iterator

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset

from datamodules.batches import FrameBatch
from datamodules.io.video import VideoReader
from datamodules.prediction.images import as_it_is


class VideoFrames(IterableDataset[FrameBatch]):
    """Frames as batches of one image.

    Args:
        video: what to read.
        name: what its result is called.
    """

    def __init__(self, video: VideoReader, *, name: str) -> None:
        self.video, self.name = video, name

    def __iter__(self) -> Iterator[FrameBatch]:
        """Reads the video from its start.

        Raises:
            DataError: if no frame can be decoded.
        """
        for index, frame in enumerate(self.video):
            height, width, _ = frame.pixels.shape
            yield FrameBatch(
                image=torch.from_numpy(np.ascontiguousarray(frame.pixels.transpose(2, 0, 1)))[None],
                original=[frame.pixels],
                size=[(height, width)],
                index=[index],
                path=[str(self.video.path)],
                name=[self.name],
                problem=[""],
                time=frame.time,
            )


class VideoPredictData(LightningDataModule):
    """One video for ``trainer.predict`` of a single process.

    Args:
        frames: of the video.
    """

    def __init__(self, frames: VideoFrames) -> None:
        super().__init__()
        self.frames = frames

    def predict_dataloader(self) -> DataLoader[FrameBatch]:
        """Reads in this process: what went wrong with the video is known to ``frames.video`` afterwards."""
        return DataLoader(self.frames, batch_size=None, collate_fn=as_it_is, num_workers=0)
