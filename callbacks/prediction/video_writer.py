"""Writes the frames of a video in a background thread while the network processes the next frames."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from callbacks.prediction.temporal_smoothing import Flicker, TemporalSmoother
from callbacks.prediction.video_file import VideoFile
from datamodules.batches import FrameBatch

Frame = NDArray[np.uint8]

_QUEUE_SIZE = 4  # frames; each is in memory


class VideoWriter(Callback):
    """Writes one video.

    Attributes:
        frames: number of frames written.
        size: height and width of the frames written.
        flicker: change of the result where the source is static.

    Args:
        target: the file to write.
        source: the source video, for its audio.
        rate: frames per second of the source.
        finish: combines a frame of the network and the source frame, both (H, W, 3), into the frame that is written.
        smooth: weight of the previous frames, see ``TemporalSmoother``; 0 for none.
        expected: number of frames for the progress bar, ``None`` if unknown.
        progress: whether to show a progress bar.
    """

    def __init__(
        self,
        *,
        target: Path,
        source: Path,
        rate: Fraction,
        finish: Callable[[Frame, Frame], Frame],
        smooth: float = 0.0,
        expected: int | None = None,
        progress: bool = False,
    ) -> None:
        self.target, self.source, self.rate, self.finish = target, source, rate, finish
        self.expected, self.progress = expected, progress
        self.frames, self.size = 0, (0, 0)
        self.flicker = Flicker()
        self._smoother = TemporalSmoother(smooth) if smooth else None
        self._open = ExitStack()
        self._video: VideoFile | None = None
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
        result = np.ascontiguousarray(outputs[0].permute(1, 2, 0).cpu().numpy())
        self._pending.append(self._pool.submit(self._write, result, original, batch["time"]))
        while len(self._pending) > _QUEUE_SIZE:
            self._pending.popleft().result()

    def _write(self, result: Frame, original: Frame, time: Fraction) -> None:
        if self._smoother is not None:
            result = self._smoother(original, result)
        result = self.finish(result, original)
        self.flicker.add(original, result)
        if self._video is None:
            self.size = (result.shape[0], result.shape[1])
            video = VideoFile(self.target, source=self.source, size=self.size, rate=self.rate)
            self._video = self._open.enter_context(video)
        self._video.write(result, time)
        self.frames += 1
        self._bar.update()

    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits for the last frame and completes the file."""
        while self._pending:
            self._pending.popleft().result()
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Cancels the frames that are not written yet and removes the unfinished file.

        Raises:
            OutputError: if writing the file is what failed.
        """
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        if self._pool is not None:
            self._pool.shutdown()  # waits for the frame that is being written
        self._open.__exit__(type(exception), exception, exception.__traceback__)
