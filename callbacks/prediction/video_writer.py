"""Writes the frames of a video in a background thread while the network processes the next frames."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from callbacks.prediction.temporal_smoothing import Flicker, TemporalSmoother
from callbacks.prediction.video_file import H264, VideoCodec, VideoFile
from datamodules.batches import FrameBatch

Frame = NDArray[np.uint8]

_QUEUE_SIZE = 4  # frames; each is in memory


#: Makes the frames that are written, by kind, from an output of the network, the source frame (H, W, 3), and its time.
Finish = Callable[[NDArray[Any], Frame, Fraction], Mapping[str, Frame]]


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """One of the files that are written for a video.

    Args:
        kind: its frames are those of this kind.
        target: the file.
        codec: how its frames are stored.
        sound: whether it has the audio of the source.
    """

    kind: str
    target: Path
    codec: VideoCodec = H264
    sound: bool = True


class VideoWriter(Callback):
    """Writes the results of one video.

    Attributes:
        frames: number of frames written.
        size: height and width of the frames written.
        flicker: change of the result where the source is static; of images only.

    Args:
        tracks: the files to write.
        source: the source video, for its audio.
        rate: frames per second of the source.
        finish: makes the frames of all tracks. It is called in the order of the frames.
        images: whether the network's outputs are images, uint8, which ``finish`` gets as (H, W, 3).
        smooth: weight of the previous frames, see ``TemporalSmoother``; 0 for none. Of images only.
        expected: number of frames for the progress bar, ``None`` if unknown.
        progress: whether to show a progress bar.
    """

    def __init__(
        self,
        *,
        tracks: Sequence[VideoTrack],
        source: Path,
        rate: Fraction,
        finish: Finish,
        images: bool = True,
        smooth: float = 0.0,
        expected: int | None = None,
        progress: bool = False,
    ) -> None:
        self.tracks, self.source, self.rate, self.finish, self.images = tracks, source, rate, finish, images
        self.expected, self.progress = expected, progress
        self.frames, self.size = 0, (0, 0)
        self.flicker = Flicker()
        self._smoother = TemporalSmoother(smooth) if smooth else None
        self._open = ExitStack()
        self._files: dict[str, VideoFile] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()
        self._bar: tqdm[Any] = tqdm(disable=True)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the thread and the progress bar."""
        self._open = ExitStack()
        bar = tqdm(total=self.expected, desc=self.source.name, unit=" frames", disable=not self.progress)
        self._bar = self._open.enter_context(bar)
        self._pool = self._open.enter_context(ThreadPoolExecutor(1))  # one thread, so that frames are written in order

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor,
        batch: FrameBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Passes the frame to the thread; waits if the queue is full."""
        (original,) = batch["original"]
        if original is None or self._pool is None:
            raise RuntimeError("a frame needs its original, and on_predict_start must be called first")
        result = outputs[0].permute(1, 2, 0) if self.images else outputs[0]
        result = result.float() if result.is_floating_point() else result
        self._pending.append(self._pool.submit(self._write, result.contiguous().cpu().numpy(), original, batch["time"]))
        while len(self._pending) > _QUEUE_SIZE:
            self._pending.popleft().result()

    def _write(self, result: NDArray[Any], original: Frame, time: Fraction) -> None:
        if self._smoother is not None:
            result = self._smoother(original, result)
        frames = self.finish(result, original, time)
        for track in self.tracks:
            frame = frames[track.kind]
            if self.images:
                self.flicker.add(original, frame)
            if track.kind not in self._files:
                self.size = (frame.shape[0], frame.shape[1])
                video = VideoFile(
                    track.target,
                    source=self.source,
                    size=self.size,
                    rate=self.rate,
                    codec=track.codec,
                    sound=track.sound,
                )
                self._files[track.kind] = self._open.enter_context(video)
            self._files[track.kind].write(frame, time)
        self.frames += 1
        self._bar.update()

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits for the last frame and completes the files."""
        while self._pending:
            self._pending.popleft().result()
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Cancels the frames that are not written yet and removes the unfinished files.

        Raises:
            OutputError: if writing the file is what failed.
        """
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        if self._pool is not None:
            self._pool.shutdown()  # waits for the frame that is being written
        self._open.__exit__(type(exception), exception, exception.__traceback__)
