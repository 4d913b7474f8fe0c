"""Brightness and contrast of images whose channels use a small part of 16 bits, as those of satellites do."""

import numpy as np
from numpy.typing import NDArray

from datamodules.io.tensors import Pixels


def relative_light(image: Pixels, *, contrast: float, brightness: float) -> NDArray[np.uint16]:
    """Changes brightness and contrast relative to each channel's own contrast.

    ``RandomBrightnessContrast`` of albumentations shifts by a fraction of full scale. A channel that lies between 1000
    and 2000 of 65535 would be shifted by more than all that it shows.

    Args:
        image: ``(H, W, C)`` uint16; not changed.
        contrast: change of the contrast, as a factor about the channel's mean.
        brightness: added to the values, in standard deviations of the channel.

    Returns:
        ``(H, W, C)``; values are rounded and clipped to 16 bits.
    """
    values = image.astype(np.float32)
    mean, std = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    changed = (values - mean) * (1 + contrast) + mean + brightness * std
    result: NDArray[np.uint16] = np.rint(np.clip(changed, 0, 65535)).astype(np.uint16)
    return result
