"""Flicker of videos: its measurement, and temporal smoothing against it.

A network stylizes each frame independently, so film grain and compression noise turn into brush strokes that change
from frame to frame even where nothing moves.
"""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.motion import estimate_motion, warp

Frame = NDArray[np.uint8]
Values = TypeVar("Values", np.uint8, np.float32)

#: Gray levels of 255 by which a static pixel may change between two frames: noise of the camera and of the codec.
STILL = 3
_MOVING = 12  # gray levels of mean change from which a neighborhood counts as fully moving
_NEIGHBORHOOD = 7  # side in pixels


class Flicker:
    """Measures how much the result changes where the source video does not, and how much the source changes there.

    Both are mean absolute changes over all pairs of consecutive frames and all pixels whose three channels change by
    ``STILL`` or less in the source.
    """

    def __init__(self) -> None:
        self._previous: tuple[Frame, Frame] | None = None
        self._sums = np.zeros(2)
        self._pixels = 0

    def add(self, source: Frame, result: Frame) -> None:
        """Adds the next frame.

        Args:
            source: (H, W, 3), the frame of the source video.
            result: (scale * H, scale * W, 3).
        """
        if self._previous is not None:
            changes = [cv2.absdiff(now, then) for now, then in zip((result, source), self._previous, strict=True)]
            still = (changes[1].max(axis=2) <= STILL).astype(np.uint8)
            masks = [_resize_to(still, result), still]
            self._sums += [
                np.mean(cv2.mean(change, mask)[:3]) * still.sum() for change, mask in zip(changes, masks, strict=True)
            ]
            self._pixels += int(still.sum())
        self._previous = result, source

    @property
    def of_result(self) -> float | None:
        """Mean change of the result per frame in gray levels of 255; ``None`` if nothing in the source is static."""
        return self._mean(0)

    @property
    def of_source(self) -> float | None:
        """Mean change of the source in the same pixels."""
        return self._mean(1)

    def _mean(self, place: int) -> float | None:
        return float(self._sums[place] / self._pixels) if self._pixels else None


class TemporalSmoother:
    """Exponential smoothing over time along the motion of the source video.

    A result becomes ``w * previous + (1 - w) * current``, with the last smoothed frame, moved along the optical flow of
    the source (``estimate_motion``), as ``previous``. ``w`` is ``amount`` where the moved previous frame of the source
    agrees with the current one, and falls to 0 where the mean difference of a neighborhood reaches ``_MOVING`` gray
    levels and where a pixel was occluded, so that objects leave no trail and cuts are not blended. Two frames are in
    memory, whatever the length of the video.

    Args:
        amount: weight of the previous frames, from 0 (off) to below 1; 0.8 averages over about five frames.
    """

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._source: Frame | None = None
        self._smooth: NDArray[np.float32] | None = None  # not rounded, otherwise small changes would be lost

    def __call__(self, source: Frame, result: Frame) -> Frame:
        """Smooths the next frame.

        Args:
            source: (H, W, 3), the frame of the source video.
            result: (scale * H, scale * W, 3).

        Returns:
            (scale * H, scale * W, 3).
        """
        current = result.astype(np.float32)
        if self._source is not None and self._smooth is not None:
            motion = estimate_motion(self._source, source)
            agreement = stillness(source, warp(self._source, motion.flow)) * motion.visible
            weight = _resize_to(self.amount * agreement, result)[..., None]
            moved = warp(self._smooth, motion.resized(*result.shape[:2]).flow).clip(0, 255)
            current += weight * (moved - current)
        self._source, self._smooth = source, current
        return current.round().astype(np.uint8)


def stillness(current: Frame, previous: Frame) -> NDArray[np.float32]:
    """Measures how static each neighborhood is between two frames.

    Args:
        current: (H, W, 3).
        previous: (H, W, 3).

    Returns:
        (H, W), from 1 (mean change of ``STILL`` gray levels or less) to 0 (``_MOVING`` or more).
    """
    change = cv2.absdiff(current, previous).max(axis=2).astype(np.float32)
    mean = cv2.blur(change, (_NEIGHBORHOOD, _NEIGHBORHOOD))
    still: NDArray[np.float32] = ((_MOVING - mean) / (_MOVING - STILL)).clip(0, 1).astype(np.float32)
    return still


def _resize_to(values: NDArray[Values], result: Frame) -> NDArray[Values]:
    """Resizes ``values`` (H, W) to the size of an upsampled ``result``."""
    height, width = result.shape[:2]
    if values.shape == (height, width):
        return values
    resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=values.dtype)
