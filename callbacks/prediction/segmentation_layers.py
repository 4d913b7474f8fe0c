"""Mask, overlay and cut-out of one image or frame, from the output of a segmentation network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.matting import (
    argmax_classes,
    draw_overlay,
    follow_mask,
    make_cutout,
    resize_probability,
    soft_alpha,
)
from callbacks.prediction.regions import Cleaning

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """A prediction at the size of its image.

    Args:
        prediction: the output of the network, see ``SegmentationLayers.segment``.
        predicted: class numbers (H, W); 1 for the single class.
        classes: the same after cleaning.
        single: probability (H, W) of the single class, if there is one and the network gave it.
    """

    prediction: NDArray[Any]
    predicted: Bytes
    classes: Bytes
    single: NDArray[np.float32] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.classes.shape[0], self.classes.shape[1]


class SegmentationLayers:
    """Draws predictions.

    Args:
        classes: names of the classes; a single name means that class against background.
        colors: (C, 3) uint8 RGB, one color per class.
        threshold: probability from which a pixel belongs to the single class.
        cutout_classes: indices of the classes that a cut-out keeps.
        cleaning: how masks are cleaned; overlays and cut-outs follow the mask.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str],
        colors: Bytes,
        threshold: float,
        cutout_classes: Sequence[int] = (0,),
        cleaning: Cleaning | None = None,
    ) -> None:
        self.one_class, self.colors = len(classes) == 1, colors
        self.threshold, self.cutout_classes = threshold, list(cutout_classes)
        self.cleaning = cleaning if cleaning is not None and cleaning.changes else None

    def segment(self, prediction: NDArray[Any], size: tuple[int, int]) -> Segmented:
        """Finds the class of every pixel.

        Args:
            prediction: (C, h, w) float32 probabilities; or (1, H, W) uint8 class numbers at the image's size (1 for the
                single class), of which cut-outs cannot be made.
            size: (H, W) of the image.
        """
        single: NDArray[np.float32] | None = None
        if prediction.dtype == np.uint8:
            predicted: Bytes = prediction[0]
        elif self.one_class:
            single = resize_probability(prediction[0], size)
            predicted = (single >= self.threshold).view(np.uint8)
        else:
            predicted = argmax_classes(prediction, size)
        classes = predicted if self.cleaning is None else self.cleaning.apply(predicted)
        return Segmented(prediction=prediction, predicted=predicted, classes=classes, single=single)

    def mask(self, segmented: Segmented) -> Bytes:
        """(H, W): 0 and 255 for one class, class numbers for several."""
        return segmented.classes * np.uint8(255) if self.one_class else segmented.classes

    def overlay(self, segmented: Segmented, pixels: Bytes) -> Bytes:
        """(H, W, 3): the image tinted by class."""
        colors = np.concatenate([np.zeros((1, 3), np.uint8), self.colors]) if self.one_class else self.colors
        return draw_overlay(pixels, segmented.classes, colors, background=0 if self.one_class else None)

    def cutout(self, segmented: Segmented, pixels: Bytes) -> Bytes:
        """(H, W, 4): the image with a soft edge around the classes that are kept."""
        prediction, (height, width) = segmented.prediction, segmented.size
        prob = segmented.single
        if prob is None:
            prob = resize_probability(prediction[self.cutout_classes].sum(axis=0), segmented.size)
        magnification = max(height / prediction.shape[1], width / prediction.shape[2])
        threshold = self.threshold if self.one_class else 0.5
        alpha = soft_alpha(prob, magnification=magnification, threshold=threshold)
        if self.cleaning is not None:
            before, after = self._kept(segmented.predicted), self._kept(segmented.classes)
            alpha = follow_mask(alpha, before, after, margin=magnification)
        return make_cutout(pixels, alpha)

    def _kept(self, classes: Bytes) -> NDArray[np.bool_]:
        """The pixels that a cut-out keeps."""
        return classes > 0 if self.one_class else np.isin(classes, self.cutout_classes)
