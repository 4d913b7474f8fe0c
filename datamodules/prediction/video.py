"""The frames of a video for ``predict``: each is decoded when the one before is done."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.batches import FrameBatch
from datamodules.io.tensors import compact_tensor
from datamodules.io.video import VideoReader


class VideoFrames(IterableDataset[FrameBatch]):
    """Frames as batches of one image.

    Args:
        video: the video.
        name: name of the result.
        prepare: makes the network's input (C, h, w) from a frame (H, W, 3); by default its bytes.
    """

    def __init__(
        self, video: VideoReader, *, name: str, prepare: Callable[[NDArray[np.uint8]], Tensor] = compact_tensor
    ) -> None:
        self.video, self.name, self.prepare = video, name, prepare

    def __iter__(self) -> Iterator[FrameBatch]:
        """Decodes the video from its start.

        Raises:
            DataError: if no frame can be decoded.
        """
        for index, frame in enumerate(self.video):
            height, width, _ = frame.pixels.shape
            yield FrameBatch(
                image=self.prepare(frame.pixels)[None],
                original=[frame.pixels],
                size=[(height, width)],
                index=[index],
                path=[str(self.video.path)],
                name=[self.name],
                problem=[""],
                time=frame.time,
            )


class VideoPredictData(LightningDataModule):
    """One video for ``trainer.predict`` on a single process.

    Args:
        frames: the frames of the video.
    """

    def __init__(self, frames: VideoFrames) -> None:
        super().__init__()
        self.frames = frames

    def predict_dataloader(self) -> DataLoader[FrameBatch]:
        """Loads in this process, so that ``frames.video.problems`` is known afterwards."""
        return DataLoader(self.frames, batch_size=None, collate_fn=_unchanged, num_workers=0)


def _unchanged(frame: Any) -> Any:
    """Torch's own conversion would turn the array of the original image into a tensor."""
    return frame
