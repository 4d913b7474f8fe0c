"""Takes a video's frames off the trainer's hands, and has them finished and written while the net works on."""

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

from callbacks.prediction.temporal_smoothing import Flicker, Smoother
from callbacks.prediction.video_file import VideoFile
from datamodules.batches import FrameBatch

Frame = NDArray[np.uint8]

_WAITING = 4  # frames; each is in memory


class VideoWriter(Callback):
    """Writes one video.

    Afterwards ``frames``, ``size`` and ``flicker`` say what was written.

    Args:
        target: the file of the result.
        source: the video, for its sound.
        rate: its frames a second.
        finish: makes of a net's frame and the video's own what is written, both (H, W, 3).
        smooth: share of the past in each frame, see ``Smoother``.
        expected: number of frames for the bar, ``None`` where it is not known.
        progress: whether a bar counts the frames written.
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
        self._smoother = Smoother(smooth) if smooth else None
        self._open = ExitStack()
        self._video: VideoFile | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[Future[None]] = deque()
        self._bar: tqdm[Any] = tqdm(disable=True)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the thread and the bar."""
        self._open = ExitStack()
        bar = tqdm(total=self.expected, desc=self.source.name, unit=" frames", disable=not self.progress)
        self._bar = self._open.enter_context(bar)
        self._pool = self._open.enter_context(ThreadPoolExecutor(1))  # one: frames are written in order

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor,
        batch: FrameBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hands the frame to the thread, and waits while more than a few are unfinished."""
        (original,) = batch["original"]
        if original is None or self._pool is None:
            raise RuntimeError("a frame needs its image, and on_predict_start has to come first")
        result = np.ascontiguousarray(outputs[0].permute(1, 2, 0).cpu().numpy())
        self._pending.append(self._pool.submit(self._write, result, original, batch["time"]))
        while len(self._pending) > _WAITING:
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
        """Waits for the last frame and completes the video."""
        while self._pending:
            self._pending.popleft().result()
        self._open.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Gives up: no file is left behind.

        Raises:
            OutputError: if that is what was wrong.
        """
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        if self._pool is not None:
            self._pool.shutdown()  # nobody writes to the video any more
        self._open.__exit__(type(exception), exception, exception.__traceback__)
