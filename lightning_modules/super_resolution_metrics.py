"""Metrics of super-resolution: PSNR and SSIM as its papers report them, blur, and LPIPS."""

import logging
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from skimage.measure import blur_effect
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from models.weights.pretrained import WeightsError, imagenet_file

_log = logging.getLogger("darkroom")

#: Red, green and blue in MATLAB's ``rgb2ycbcr`` (Rec. 601 with head-room): brightness 16 for black, 235 for white.
_LUMA = (65.481, 128.553, 24.966)
#: The decibels of two images that are equal, of which PSNR would say infinity and spoil every mean.
EQUAL_PSNR = 100.0
#: Side of SSIM's window in pixels, and the standard deviation of its weights.
_WINDOW, _SIGMA = 11, 1.5
#: Shorter sides below this leave AlexNet's third pool without a pixel.
_LEAST = 63


def brightness(images: Tensor) -> Tensor:
    """Rounds images to 8 bits, as if they were saved, and takes the Y of MATLAB's YCbCr, itself not rounded.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].

    Returns:
        (N, 1, H, W) float32 in [16, 235].

    >>> brightness(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten().tolist()
    [16.0, 235.0]
    """
    pixels = _levels(images) / 255
    weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
    return 16 + (pixels * weights).sum(1, keepdim=True)


def psnr(preds: Tensor, target: Tensor, *, border: int, color: bool = False) -> Tensor:
    """Peak signal-to-noise ratio of the brightness, ``10 log10(255^2 / mean squared error)``, image by image.

    Args:
        preds: (N, 3, H, W), RGB, about [0, 1].
        target: the same shape.
        border: pixels left out on each side; the field leaves out as many as the scale.
        color: measure red, green and blue, rounded to 8 bits, in place of the brightness.

    Returns:
        (N,) float32 in dB, at most ``EQUAL_PSNR``.

    Raises:
        ValueError: if the shapes differ or the border leaves too little.
    """
    a, b = _inner(preds, target, border, color=color)
    error = (a - b).square().mean((1, 2, 3))
    return (10 * (255**2 / error).log10()).clamp_max(EQUAL_PSNR)


def ssim(preds: Tensor, target: Tensor, *, border: int) -> Tensor:
    """Structural similarity of the brightness (Wang et al. 2004), image by image.

    Gaussian window of 11 pixels and sigma 1.5, constants 0.01 and 0.03, the mean over the places where the window fits
    inside: the authors' ``ssim.m``. (torchmetrics' SSIM mirrors the image at its border and comes out 0.001 higher.)

    Args:
        preds: (N, 3, H, W), RGB, about [0, 1].
        target: the same shape.
        border: pixels left out on each side.

    Returns:
        (N,) float32, at most 1.

    Raises:
        ValueError: if the shapes differ or the border leaves too little.
    """
    a, b = _inner(preds, target, border)
    window = _window().to(a.device)
    with torch.autocast(a.device.type, enabled=False):  # variances are small differences of large numbers
        mean_a, mean_b, square_a, square_b, product = (
            F.conv2d(F.conv2d(x, window), window.mT) for x in (a, b, a * a, b * b, a * b)
        )
    var_a, var_b, covariance = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (similar / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


class SrScores(Metric):
    """Mean PSNR and SSIM over the images of a whole set and of all processes.

    The field's mean is that of the images' decibels; torchmetrics' own PSNR pools their errors first.
    """

    full_state_update = False
    psnr_sum: Tensor
    ssim_sum: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("psnr_sum", "ssim_sum", "count"):
            self.add_state(name, torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, psnr: Tensor, ssim: Tensor) -> None:
        """Adds the scores (N,) of some images."""
        self.psnr_sum += psnr.sum()
        self.ssim_sum += ssim.sum()
        self.count += len(psnr)

    def compute(self) -> dict[str, Tensor]:
        """Gives ``psnr`` and ``ssim``; nan where there was no image."""
        return {"psnr": self.psnr_sum / self.count, "ssim": self.ssim_sum / self.count}


def _levels(images: Tensor) -> Tensor:
    """Images as if they were saved: whole numbers from 0 to 255."""
    return (images.float().clamp(0, 1) * 255).round()


def _window() -> Tensor:
    """One axis of the window, (1, 1, 1, 11), which adds up to 1."""
    distance = torch.arange(_WINDOW) - _WINDOW // 2
    weights = (-(distance**2) / (2 * _SIGMA**2)).exp()
    return (weights / weights.sum()).view(1, 1, 1, -1)


def _inner(preds: Tensor, target: Tensor, border: int, *, color: bool = False) -> tuple[Tensor, Tensor]:
    if preds.shape != target.shape or preds.ndim != 4 or preds.shape[1] != 3:
        raise ValueError(f"both must be (N, 3, H, W), not {tuple(preds.shape)} and {tuple(target.shape)}")
    height, width = preds.shape[2:]
    if min(height, width) < _WINDOW + 2 * border:
        raise ValueError(
            f"images of {width} x {height} pixels are too small to be judged: "
            f"without a border of {border} each side needs {_WINDOW}"
        )
    inside = slice(border, height - border), slice(border, width - border)
    seen = _levels if color else brightness
    return seen(preds)[:, :, *inside], seen(target)[:, :, *inside]


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
