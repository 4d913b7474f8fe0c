"""What a segmentation network returns for one image."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.matting import argmax_classes, resize_probability
from callbacks.prediction.regions import Cleaning


class Segmentation:
    """The classes of an image's pixels, at the image's own size.

    Args:
        prediction: (C, S, S) float32 probabilities at the size of the network.
        size: height and width of the image.
        classes: C class names; one name means that class against background.
        threshold: probability from which a pixel belongs to the one class.
        cleaning: how the mask is cleaned by its regions.

    Attributes:
        classes: the class names.
        size: height and width of the image.
    """

    def __init__(
        self,
        prediction: NDArray[np.float32],
        *,
        size: tuple[int, int],
        classes: tuple[str, ...],
        threshold: float,
        cleaning: Cleaning | None = None,
    ) -> None:
        self.classes, self.size, self.threshold = classes, size, threshold
        self._prediction, self._cleaning = prediction, cleaning

    @cached_property
    def mask(self) -> NDArray[np.uint8]:
        """(H, W): 1 for the class and 0 for background if there is one class, class numbers if there are several."""
        if len(self.classes) == 1:
            mask = np.asarray(self.probs[0] >= self.threshold, np.uint8)
        else:
            mask = argmax_classes(self._prediction, self.size)
        return mask if self._cleaning is None else self._cleaning.apply(mask)

    @cached_property
    def probs(self) -> NDArray[np.float32]:
        """(C, H, W) probabilities in [0, 1], in the order of ``classes``."""
        return np.stack([resize_probability(prob, self.size) for prob in self._prediction])

    def __repr__(self) -> str:
        height, width = self.size
        return f"Segmentation({width} x {height}, classes: {', '.join(self.classes)})"
