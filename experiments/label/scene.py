"""What is known of one class in an image, as snapping needs it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.shapes import Mask

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]
Box = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is known of one class in an image; all arrays have the same height and width.

    Args:
        image: ``(H, W, 3)`` RGB.
        current: pixels of the class so far, labeled or suggested.
        inside: pixels that a person has labeled as the class.
        outside: pixels that a person has labeled as something else.
        prob: probability of the class by a network, ``None`` without one.
    """

    image: Image
    current: Mask
    inside: Mask
    outside: Mask
    prob: Floats | None = None

    def crop(self, box: Box) -> "Scene":
        """Returns a rectangle of the scene."""
        return Scene(
            image=self.image[box],
            current=self.current[box],
            inside=self.inside[box],
            outside=self.outside[box],
            prob=None if self.prob is None else self.prob[box],
        )

    def resize(self, size: tuple[int, int]) -> "Scene":
        """Returns the scene at another height and width."""
        return Scene(
            image=np.asarray(cv2.resize(self.image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8),
            current=resize_mask(self.current, size),
            inside=resize_mask(self.inside, size),
            outside=resize_mask(self.outside, size),
            prob=None if self.prob is None else np.asarray(cv2.resize(self.prob, size[::-1]), np.float32),
        )


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resizes a mask; a pixel is set if at least half of it is."""
    if mask.shape == size:
        return mask.copy()
    return np.asarray(cv2.resize(mask.astype(np.uint8) * 255, size[::-1], interpolation=cv2.INTER_AREA) >= 128)
