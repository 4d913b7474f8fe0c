"""The degradation that makes the input of a training pair, for super-resolution and for restoration."""

import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.images.corruptions import Corruption

#: Pixels after the downscaling: a kernel of four pixels reaches two beyond the border, where its weights differ from
#: those inside an image.
KERNEL_REACH = 4
Kernel = Literal["bicubic", "area"]


class Degradation:
    """Makes the input of a pair from its target: corruptions at full size, downscaling, corruptions at the small size.

    Blur of a lens comes before the downscaling; noise and JPEG artifacts of a camera come after it. At scale 1 nothing
    is downscaled and the task is restoration: ``after=[Jpeg()]`` trains the removal of JPEG artifacts.

    Args:
        before: corruptions of the image at the target's size.
        kernel: how it is downscaled: ``"bicubic"`` with antialiasing, as benchmarks are made, or ``"area"`` means.
        after: corruptions of the downscaled image.
    """

    def __init__(
        self, *, before: Sequence[Corruption] = (), kernel: Kernel = "bicubic", after: Sequence[Corruption] = ()
    ) -> None:
        self.before, self.kernel, self.after = tuple(before), kernel, tuple(after)

    def margin(self, side: int, *, scale: int) -> int:
        """Pixels to crop on each side of a degraded square so that what is beyond its border shows nowhere in it.

        Args:
            side: of the square that is left, in pixels after downscaling.
            scale: the degraded image is this many times smaller than its target.
        """
        before = sum(corruption.reach((side + 2 * KERNEL_REACH) * scale) for corruption in self.before)
        after = sum(corruption.reach(side + 2 * KERNEL_REACH) for corruption in self.after)
        return KERNEL_REACH + math.ceil(before / scale) + after

    def __call__(self, image: NDArray[np.uint8], *, scale: int, seed: int) -> NDArray[np.uint8]:
        """Degrades an image; equal seeds give equal results.

        Args:
            image: uint8 RGB (H, W, 3); both sides are multiples of ``scale``.
            scale: the result is this many times smaller.
            seed: of the corruptions.

        Returns:
            uint8 RGB (H / scale, W / scale, 3).

        Raises:
            ValueError: if a side is no multiple of ``scale``.
        """
        rng = np.random.default_rng(seed)
        for corruption in self.before:
            image = corruption(image, rng)
        image = downscale(image, scale, self.kernel)
        for corruption in self.after:
            image = corruption(image, rng)
        return image


def downscale(image: NDArray[np.uint8], scale: int, kernel: Kernel) -> NDArray[np.uint8]:
    """Makes an image ``scale`` times smaller.

    ``"bicubic"`` is Pillow's: Keys' kernel with a = -0.5, widened by ``scale`` against aliasing. MATLAB's ``imresize``,
    with which the benchmarks of the field were made, rounds and mirrors at the border in another way: the mean
    difference on Set5 is 0.17 gray levels, at 2x and at 4x. ``"area"`` is the mean of each square of pixels.

    Args:
        image: uint8 (H, W, 3).
        scale: 1 or more; 1 returns the image itself.
        kernel: ``"bicubic"`` or ``"area"``.

    Returns:
        uint8 (H / scale, W / scale, 3).

    Raises:
        ValueError: if a side is no multiple of ``scale``.
    """
    height, width = image.shape[:2]
    if height % scale or width % scale:
        raise ValueError(f"an image of {width} x {height} pixels cannot be made exactly {scale} times smaller")
    if scale == 1:
        return image
    size = width // scale, height // scale
    if kernel == "area":
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
