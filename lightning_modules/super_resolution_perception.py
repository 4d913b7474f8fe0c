"""How sharp images are and how alike they look: figures beside PSNR, which prefers images that are blurred."""

import logging
from typing import Literal

import numpy as np
import torch
from skimage.measure import blur_effect
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from lightning_modules.super_resolution_metrics import brightness
from models.weights.errors import WeightsError
from models.weights.pretrained import imagenet_file

_log = logging.getLogger("darkroom")

#: Shorter sides below this leave AlexNet's third pool without a pixel.
_LEAST = 63


def blur(images: Tensor, *, border: int) -> list[float]:
    """Measures how blurred images are without knowing the truth (Crete et al. 2007), by scikit-image.

    The image is blurred once more: what is sharp loses much of its contrast between neighbours, what is blurred
    hardly any. Noise and checkerboards count as sharpness, so this is no figure to be read alone.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1]; measured by their brightness.
        border: pixels left out on each side.

    Returns:
        N figures from 0, sharp, to 1, blurred or flat.
    """
    height, width = images.shape[2:]
    gray = (brightness(images)[:, 0, border : height - border, border : width - border] / 255).cpu().numpy()
    return [float(blur_effect(image.astype(np.float64))) for image in gray]


class Lpips:
    """Learned perceptual image patch similarity (Zhang et al. 2018), AlexNet's, by torchmetrics; no part of any module.

    Args:
        weights: ``"auto"`` takes AlexNet's ImageNet weights from torch hub's cache or by download (233 MB), and says
            in one line if they cannot be had; ``"none"`` measures nothing.
    """

    def __init__(self, weights: Literal["auto", "none"]) -> None:
        self.weights = weights
        self._metric: LearnedPerceptualImagePatchSimilarity | None = None

    def load(self, device: torch.device) -> None:
        """Loads the network, once, where its weights can be had."""
        if self.weights == "auto" and self._metric is None:
            try:
                imagenet_file("alexnet")
            except WeightsError as error:
                _log.warning("LPIPS is not measured: %s", error)
                self.weights = "none"
                return
            self._metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
        if self._metric is not None:
            self._metric.to(device)

    @torch.no_grad()
    def __call__(self, preds: Tensor, target: Tensor) -> float | None:
        """Compares one image with the truth: 0 where they are the same to AlexNet's eyes.

        Args:
            preds: (1, 3, H, W), RGB, about [0, 1].
            target: the same shape.

        Returns:
            The figure; ``None`` where there are no weights, or the image is too small for AlexNet.
        """
        if self._metric is None or min(target.shape[2:]) < _LEAST:
            return None
        figure = float(self._metric(preds.float().clamp(0, 1), target.float().clamp(0, 1)))
        self._metric.reset()  # the metric keeps every score it gave
        return figure
