"""Augmentation of an image together with its mask, as the lesson's recipes have it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.loading.albumentations_compat import A, reseed, strict_compose


class Augment:
    """Turns, mirrors and lights an image; its mask is turned and mirrored with it and keeps its light.

    Corners that a turn leaves empty are filled with the reflection of the image. A coverage mask is interpolated
    like the image; a class mask takes the nearest pixel, so that it holds nothing but its own numbers.

    Departure from the lesson: the light changes by a factor (contrast about the middle gray, then brightness as
    an offset) on 8-bit values, which round once.

    Args:
        rotate: largest angle to either side in degrees.
        flip: whether every second image is mirrored left to right.
        light: largest change of brightness and of contrast, as a share of full scale.
        coverage: whether masks hold shares of area (``True``) or class numbers (``False``).

    Raises:
        ValueError: if ``rotate`` or ``light`` is out of its range.
    """

    def __init__(self, *, rotate: float = 4.0, flip: bool = True, light: float = 0.05, coverage: bool) -> None:
        if not 0 <= rotate <= 180:
            raise ValueError(f"rotate must be between 0 and 180 degrees, not {rotate}")
        if not 0 <= light < 1:
            raise ValueError(f"light must be at least 0 and below 1, not {light}")
        transforms: list[A.BasicTransform] = []
        if rotate:
            transforms.append(
                A.Rotate(
                    limit=(-rotate, rotate),
                    interpolation=cv2.INTER_LINEAR,
                    mask_interpolation=cv2.INTER_LINEAR if coverage else cv2.INTER_NEAREST,
                    border_mode=cv2.BORDER_REFLECT_101,
                    p=1.0,
                )
            )
        if flip:
            transforms.append(A.HorizontalFlip(p=0.5))
        if light:
            transforms.append(
                A.RandomBrightnessContrast(brightness_limit=(-light, light), contrast_limit=(-light, light), p=1.0)
            )
        self._compose = strict_compose(transforms)

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], *, seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Augments one pair.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; not changed.
            mask: ``(H, W)`` uint8, shares of area (0..255) or class numbers; not changed.
            seed: decides everything that is drawn.

        Returns:
            Image and mask in the same shapes and types.
        """
        reseed(self._compose, seed)
        out = self._compose(image=image, mask=mask)
        return out["image"], out["mask"]
