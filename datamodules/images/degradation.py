"""How a good image is spoiled to make the input of a pair: one pipeline for enlarging and for all repairs."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.images.degradations import Spoil
from datamodules.images.shrink import shrink


class Degradation:
    """Makes the input of a pair from its target: steps at full size, the shrinking, steps at the small size.

    Blur comes before the shrinking where a lens made it, noise and JPEG after it where a camera did. At scale 1
    nothing is shrunk, and the pair is one of repair: ``after=[Jpeg()]`` is the task of removing JPEG's marks.

    Args:
        before: steps on the image at the target's size.
        kernel: how it is made smaller: ``"bicubic"`` with antialiasing as the field has it, or ``"area"`` means.
        after: steps on the small image.
    """

    def __init__(
        self,
        *,
        before: Sequence[Spoil] = (),
        kernel: Literal["bicubic", "area"] = "bicubic",
        after: Sequence[Spoil] = (),
    ) -> None:
        self.before, self.kernel, self.after = tuple(before), kernel, tuple(after)

    def __call__(self, image: NDArray[np.uint8], *, scale: int, seed: int) -> NDArray[np.uint8]:
        """Spoils an image, the same way for the same seed.

        Args:
            image: uint8 RGB (H, W, 3); both sides are multiples of ``scale``.
            scale: how many times smaller the result is.
            seed: of everything that is drawn.

        Returns:
            uint8 RGB (H / scale, W / scale, 3).

        Raises:
            ValueError: if a side is no multiple of ``scale``.
        """
        rng = np.random.default_rng(seed)
        for spoil in self.before:
            image = spoil(image, rng)
        image = shrink(image, scale, self.kernel)
        for spoil in self.after:
            image = spoil(image, rng)
        return image
