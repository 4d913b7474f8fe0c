"""Metrics of color for whole images: colorfulness, and the difference of two images as it is seen."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def colorfulness(images: Tensor) -> list[float]:
    """Colorfulness of each image: 0 for gray, about 33 for moderate and 80 for strong colors.

    Hasler and Suesstrunk 2003, "Measuring colourfulness in natural images": spread and mean distance from gray of the
    opponent colors ``R - G`` and ``(R + G) / 2 - B`` in 8 bits.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].

    Returns:
        N values, 0 or more.
    """
    red, green, blue = images.clamp(0, 1).mul(255).round().unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], dim=1).flatten(2)
    spread, mean = opponents.var(2, correction=0).sum(1).sqrt(), opponents.mean(2).square().sum(1).sqrt()
    values: list[float] = (spread + 0.3 * mean).tolist()
    return values


def color_error(images: Tensor, target: Tensor) -> list[float]:
    """Mean difference of the pixels' colors of each image, CIEDE2000 by scikit-image: 1 is just visible side by side.

    Args:
        images: (N, 3, H, W), RGB (sRGB), about [0, 1].
        target: same shape as ``images``.

    Returns:
        N values, 0 or more.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab  # late: few runs need it

    pairs = zip(*(rgb2lab(_rows(batch)) for batch in (images, target)), strict=True)
    return [float(np.mean(deltaE_ciede2000(image, true))) for image, true in pairs]


def _rows(images: Tensor) -> NDArray[np.float32]:
    """The images as (N, H, W, 3)."""
    rows: NDArray[np.float32] = images.clamp(0, 1).permute(0, 2, 3, 1).float().cpu().numpy()
    return rows
