"""A video behind the composites of another video."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from datamodules.io.video import TimedFrame, VideoReader


class BackgroundVideo:
    """The frames of a video by time, for composites with another video; it starts again after its end.

    Args:
        video: the background.
    """

    def __init__(self, video: VideoReader) -> None:
        self._video = video
        self._frames: Iterator[TimedFrame] = iter(())
        self._start = Fraction(0)  # time at which the current repetition began
        self._now: TimedFrame | None = None
        self._next: TimedFrame | None = None

    def at(self, time: Fraction) -> NDArray[np.uint8]:
        """The frame (h, w, 3) that is displayed at a time in seconds; an earlier time than the last reads it anew.

        Raises:
            DataError: if no frame can be decoded.
        """
        if self._now is not None and time < self._start + self._now.time:
            self._now, self._start = None, Fraction(0)
        while self._now is None or self._next is None or self._start + self._next.time <= time:
            self._advance()
        return self._now.pixels

    def _advance(self) -> None:
        if self._now is None or self._next is None:
            self._frames = iter(self._video)
            self._now = self._next = next(self._frames)
        self._now = self._next
        following = next(self._frames, None)
        if following is None:  # displayed for one more frame, then the video starts again
            self._frames = iter(self._video)
            following = next(self._frames)
            end = self._now.time + 1 / self._video.info.rate
            self._start += end
            self._now = TimedFrame(pixels=self._now.pixels, time=self._now.time - end)
        self._next = following
