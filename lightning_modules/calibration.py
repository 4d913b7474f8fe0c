"""Calibration error of probabilities, in memory that does not grow with the number of pixels."""

import torch
from torch import Tensor
from torchmetrics import Metric

from models.losses.mask_target import IGNORE

_LEVELS = 65536  # confidences are summed as multiples of 1 / 65536, so that sums are exact
#: Pixels of an image that are counted at most; a regular grid of a larger image.
MAX_PIXELS = 1 << 18


class CalibrationError(Metric):
    """Expected calibration error (Naeini et al. 2015, Guo et al. 2017): how far probabilities are from frequencies.

    Pixels are put into bins of equal width by their confidence. The error is the mean over the bins, weighted by their
    pixels, of the distance between mean confidence and fraction of correct pixels. With one class, confidence is the
    probability of the class, and correct means that the pixel belongs to it; with several, it is the largest
    probability, and whether that class is right. torchmetrics' metric of this name is the same, but keeps all pixels.

    Args:
        one_class: whether there is a single class.
        bins: number of bins.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, *, one_class: bool, bins: int = 15) -> None:
        super().__init__()
        self.one_class, self.bins = one_class, bins
        self.add_state("sums", torch.zeros(bins, 3, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, probs: Tensor, target: Tensor) -> None:
        """Adds an image.

        Args:
            probs: ``(C, H, W)`` in [0, 1].
            target: class numbers ``(H, W)``; 0 and 1 for one class; pixels of the value 255 are ignored.
        """
        step = 1
        while -(-target.shape[0] // step) * -(-target.shape[1] // step) > MAX_PIXELS:
            step += 1
        probs, target = probs[:, ::step, ::step], target[::step, ::step]
        confidence, best = probs.max(dim=0)
        correct = target == 1 if self.one_class else target == best
        known = target != IGNORE
        edges = torch.linspace(0, 1, self.bins + 1, dtype=torch.float32, device=probs.device)
        place = torch.bucketize(confidence.contiguous(), edges, right=True).clamp(1, self.bins) - 1
        levels = (confidence * _LEVELS).round().long()
        for number in range(self.bins):
            inside = known & (place == number)
            row = torch.stack([inside.sum(), (inside & correct).sum(), (levels * inside).sum()])
            self.sums[number] += row.to(self.sums.device)

    def compute(self) -> Tensor:
        """Returns the error in [0, 1]; NaN without pixels."""
        count, correct, levels = self.sums.unbind(-1)
        gaps = (correct - levels / _LEVELS).abs()
        return gaps.sum() / count.sum()
