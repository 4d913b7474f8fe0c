"""An image's new look and its old one, mixed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # uint8 or uint16

# ITU-R BT.601, as JPEG has it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def blend(styled: Pixels, original: Pixels, *, strength: float, keep_colors: bool) -> Pixels:
    """Mixes a repainted image with the image.

    With ``keep_colors`` the result has the brightness of ``styled`` and both color differences of ``original``. In
    YCbCr that is to add the change of brightness to all three channels (Gatys et al. 2016, "Preserving color in neural
    artistic style transfer", have it so in YIQ); what leaves the range is cut off.

    Args:
        styled: (H, W, 3) RGB.
        original: (H, W, 3) RGB of the same depth.
        strength: share of the new look, 0 to 1.
        keep_colors: whether the colors stay those of ``original``.

    Returns:
        (H, W, 3), of the same depth; ``styled`` itself where nothing is to be mixed.
    """
    if strength == 1 and not keep_colors:
        return styled
    old = original.astype(np.float32)
    new = styled.astype(np.float32)
    change = ((new - old) @ _LUMA)[..., None] if keep_colors else new - old
    mixed = (old + strength * change).round()
    return mixed.clip(0, np.iinfo(styled.dtype).max).astype(styled.dtype)
