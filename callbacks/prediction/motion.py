"""Motion between two frames of a video: dense optical flow, and which pixels are visible in both."""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Field = NDArray[np.float32]
Values = TypeVar("Values", np.uint8, np.float32)

#: Longer side in pixels at which the flow is computed: twice the side takes four times as long.
_FLOW_SIDE = 640
#: Smaller frames are too small for the coarsest scale of the flow; they are taken as static.
_LEAST_SIDE = 32


@dataclass(frozen=True)
class Motion:
    """Where the pixels of a frame were in the previous frame.

    Args:
        flow: (H, W, 2), displacement to the position in the previous frame, x before y, in pixels.
        visible: (H, W), 1 where the pixel is visible in both frames, 0 where it was occluded or outside.
    """

    flow: Field
    visible: Field

    def resized(self, height: int, width: int) -> "Motion":
        """The same motion for frames of another size."""
        if self.visible.shape == (height, width):
            return self
        factors = np.array([width / self.visible.shape[1], height / self.visible.shape[0]], np.float32)
        flow = cv2.resize(self.flow, (width, height), interpolation=cv2.INTER_LINEAR) * factors
        visible = cv2.resize(self.visible, (width, height), interpolation=cv2.INTER_LINEAR)
        return Motion(np.asarray(flow, np.float32), np.asarray(visible, np.float32))


def estimate_motion(previous: Frame, current: Frame) -> Motion:
    """Estimates the motion between two frames by dense inverse search (Kroeger et al. 2016, OpenCV's DIS).

    A pixel counts as occluded where the flow forward and the flow back do not cancel out (Sundaram et al. 2010, with
    the thresholds of Ruder et al. 2016).

    Args:
        previous: (H, W, 3) uint8 RGB.
        current: as ``previous``.
    """
    height, width = current.shape[:2]
    shrink = min(1.0, _FLOW_SIDE / max(height, width))
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    if min(small) < _LEAST_SIDE or np.array_equal(previous, current):
        return Motion(np.zeros((height, width, 2), np.float32), np.ones((height, width), np.float32))
    then, now = (
        cv2.cvtColor(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for frame in (previous, current)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty = np.zeros((*now.shape, 2), np.float32)
    back = np.asarray(search.calc(now, then, empty.copy()), np.float32)
    forward = np.asarray(search.calc(then, now, empty), np.float32)
    returned = back + warp(forward, back)
    size = np.square(back).sum(2) + np.square(warp(forward, back)).sum(2)
    visible = np.square(returned).sum(2) <= 0.01 * size + 0.5
    columns, rows = np.meshgrid(np.arange(small[0]), np.arange(small[1]))
    x, y = columns + back[..., 0], rows + back[..., 1]
    visible &= (x >= 0) & (x <= small[0] - 1) & (y >= 0) & (y <= small[1] - 1)
    return Motion(back, visible.astype(np.float32)).resized(height, width)


def warp(values: NDArray[Values], flow: Field) -> NDArray[Values]:
    """Moves the values of the previous frame to their positions in the current frame.

    Args:
        values: (H, W) or (H, W, C).
        flow: (H, W, 2), see ``Motion``.

    Returns:
        As ``values``, by cubic interpolation, which blurs less than bilinear if it is repeated for every frame.
    """
    height, width = flow.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), dtype=values.dtype)
