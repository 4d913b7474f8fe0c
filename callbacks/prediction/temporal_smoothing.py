"""Videos that flicker: how much, and what can be done about it.

A net repaints each frame for itself, so the grain of a video and the noise of its coding come back as brush strokes
that tremble where nothing moves.
"""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Values = TypeVar("Values", np.uint8, np.float32)

#: Gray levels of 255 by which a still pixel may change from frame to frame: noise of the camera and of the coding.
STILL = 3
_MOVING = 12  # gray levels from which a neighbourhood counts as moving altogether
_NEIGHBOURHOOD = 7  # pixels


class Flicker:
    """How much the result changes where the video does not, beside what the video itself does there.

    Over all neighbouring frames and all pixels whose three channels change by ``STILL`` or less in the video: the mean
    absolute change of the result, and the same mean of the video.
    """

    def __init__(self) -> None:
        self._before: tuple[Frame, Frame] | None = None
        self._sums = np.zeros(2)
        self._pixels = 0

    def add(self, source: Frame, result: Frame) -> None:
        """Takes the next frame.

        Args:
            source: (H, W, 3) of the video.
            result: (scale * H, scale * W, 3).
        """
        if self._before is not None:
            changes = [cv2.absdiff(now, then) for now, then in zip((result, source), self._before, strict=True)]
            still = (changes[1].max(axis=2) <= STILL).astype(np.uint8)
            masks = [_at(still, result), still]
            self._sums += [
                np.mean(cv2.mean(change, mask)[:3]) * still.sum() for change, mask in zip(changes, masks, strict=True)
            ]
            self._pixels += int(still.sum())
        self._before = result, source

    @property
    def of_result(self) -> float | None:
        """Gray levels of 255 from frame to frame; ``None`` where nothing of the video stands still."""
        return self._mean(0)

    @property
    def of_source(self) -> float | None:
        """The same of the video itself."""
        return self._mean(1)

    def _mean(self, place: int) -> float | None:
        return float(self._sums[place] / self._pixels) if self._pixels else None


class Smoother:
    """Exponential smoothing over time that lets go wherever the video changes.

    A result becomes ``w * before + (1 - w) * now``, with ``before`` the last frame smoothed. ``w`` is ``amount`` where
    the video stands still and falls to 0 where the mean change of a neighbourhood reaches a few gray levels, so that
    what moves leaves no trail and a cut is a cut.

    Args:
        amount: share of the past, from 0 (off) to below 1; at 0.8 the last five frames or so count.
    """

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._source: Frame | None = None
        self._smooth: NDArray[np.float32] | None = None  # not rounded, or small changes would never arrive

    def __call__(self, source: Frame, result: Frame) -> Frame:
        """Gives the next frame, smoothed.

        Args:
            source: (H, W, 3) of the video.
            result: (scale * H, scale * W, 3).
        """
        now = result.astype(np.float32)
        if self._source is not None and self._smooth is not None:
            share = _at(self.amount * stillness(source, self._source), result)[..., None]
            now += share * (self._smooth - now)
        self._source, self._smooth = source, now
        return now.round().astype(np.uint8)


def stillness(now: Frame, before: Frame) -> NDArray[np.float32]:
    """How still each neighbourhood is between two frames.

    Args:
        now: (H, W, 3).
        before: (H, W, 3).

    Returns:
        (H, W), from 1 (changes by ``STILL`` gray levels or less) to 0 (by ``_MOVING`` or more).
    """
    change = cv2.absdiff(now, before).max(axis=2).astype(np.float32)
    around = cv2.blur(change, (_NEIGHBOURHOOD, _NEIGHBOURHOOD))
    still: NDArray[np.float32] = ((_MOVING - around) / (_MOVING - STILL)).clip(0, 1).astype(np.float32)
    return still


def _at(values: NDArray[Values], result: Frame) -> NDArray[Values]:
    """``values`` (H, W) at the size of an enlarged ``result``."""
    height, width = result.shape[:2]
    if values.shape == (height, width):
        return values
    resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=values.dtype)
