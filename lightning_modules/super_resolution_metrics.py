"""Metrics of super-resolution: PSNR and SSIM as its papers report them, and blur."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

#: Weights of red, green and blue in MATLAB's ``rgb2ycbcr`` (Rec. 601, studio range): luma 16 for black, 235 for white.
_LUMA = (65.481, 128.553, 24.966)
#: PSNR in dB of two equal images; infinity would make every mean infinite.
EQUAL_PSNR = 100.0
#: Side of SSIM's window in pixels, and the standard deviation of its weights.
_WINDOW, _SIGMA = 11, 1.5


def luma(images: Tensor) -> Tensor:
    """Rounds images to 8 bits, as when saved, and returns the Y of MATLAB's YCbCr, which is not rounded.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].

    Returns:
        (N, 1, H, W) float32 in [16, 235].

    >>> luma(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten().tolist()
    [16.0, 235.0]
    """
    pixels = _to_8_bits(images) / 255
    weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
    return 16 + (pixels * weights).sum(1, keepdim=True)


def psnr(preds: Tensor, target: Tensor, *, border: int, color: bool = False) -> Tensor:
    """Peak signal-to-noise ratio of the luma, ``10 log10(255^2 / mean squared error)``, for each image.

    Args:
        preds: (N, 3, H, W), RGB, about [0, 1].
        target: same shape as ``preds``.
        border: pixels left out on each side; papers leave out as many as the scale.
        color: compare RGB, rounded to 8 bits, instead of the luma.

    Returns:
        (N,) float32 in dB, at most ``EQUAL_PSNR``.

    Raises:
        ValueError: if the shapes differ or the images are too small for the border.
    """
    a, b = _without_border(preds, target, border, color=color)
    error = (a - b).square().mean((1, 2, 3))
    return (10 * (255**2 / error).log10()).clamp_max(EQUAL_PSNR)


def ssim(preds: Tensor, target: Tensor, *, border: int) -> Tensor:
    """Structural similarity of the luma (Wang et al. 2004), for each image.

    Gaussian window of 11 pixels and sigma 1.5, constants 0.01 and 0.03, mean over the positions where the window fits
    into the image, as in the authors' ``ssim.m``. (torchmetrics reflects the image at its border, which gives values
    0.001 higher.)

    Args:
        preds: (N, 3, H, W), RGB, about [0, 1].
        target: same shape as ``preds``.
        border: pixels left out on each side.

    Returns:
        (N,) float32, at most 1.

    Raises:
        ValueError: if the shapes differ or the images are too small for the border.
    """
    a, b = _without_border(preds, target, border)
    window = _window().to(a.device)
    with torch.autocast(a.device.type, enabled=False):  # variances are small differences of large numbers
        mean_a, mean_b, square_a, square_b, product = (
            F.conv2d(F.conv2d(x, window), window.mT) for x in (a, b, a * a, b * b, a * b)
        )
    var_a, var_b, covariance = square_a - mean_a**2, square_b - mean_b**2, product - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (similarity / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


class SrScores(Metric):
    """Mean PSNR and SSIM over the images of a whole set, on all ranks.

    Papers average the decibels of the images; torchmetrics' own PSNR pools the squared errors instead.
    """

    full_state_update = False
    psnr_sum: Tensor
    ssim_sum: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("psnr_sum", "ssim_sum", "count"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")  # float32: MPS has no float64

    def update(self, psnr: Tensor, ssim: Tensor) -> None:
        """Adds the scores (N,) of some images."""
        self.psnr_sum += psnr.sum()
        self.ssim_sum += ssim.sum()
        self.count += len(psnr)

    def compute(self) -> dict[str, Tensor]:
        """Returns ``psnr`` in dB and ``ssim``; NaN without images."""
        return {"psnr": self.psnr_sum / self.count, "ssim": self.ssim_sum / self.count}


def _to_8_bits(images: Tensor) -> Tensor:
    """Integers from 0 to 255, as float32."""
    return (images.float().clamp(0, 1) * 255).round()


def _window() -> Tensor:
    """One axis of the Gaussian window, (1, 1, 1, 11), with sum 1."""
    distance = torch.arange(_WINDOW) - _WINDOW // 2
    weights = (-(distance**2) / (2 * _SIGMA**2)).exp()
    return (weights / weights.sum()).view(1, 1, 1, -1)


def _without_border(preds: Tensor, target: Tensor, border: int, *, color: bool = False) -> tuple[Tensor, Tensor]:
    if preds.shape != target.shape or preds.ndim != 4 or preds.shape[1] != 3:
        raise ValueError(f"both must be (N, 3, H, W), not {tuple(preds.shape)} and {tuple(target.shape)}")
    height, width = preds.shape[2:]
    if min(height, width) < _WINDOW + 2 * border:
        raise ValueError(
            f"images of {width} x {height} pixels are too small to be scored: "
            f"without a border of {border} each side needs {_WINDOW}"
        )
    inside = slice(border, height - border), slice(border, width - border)
    convert = _to_8_bits if color else luma
    return convert(preds)[:, :, *inside], convert(target)[:, :, *inside]


def blur(images: Tensor, *, border: int) -> list[float]:
    """No-reference blur metric of scikit-image (Crete et al. 2007), on the luma.

    The image is blurred again: a sharp one loses much of the contrast between neighboring pixels, a blurred one
    little. Noise and checkerboards count as sharpness, so read it together with other scores.

    Args:
        images: (N, 3, H, W), RGB, about [0, 1].
        border: pixels left out on each side.

    Returns:
        N values from 0, sharp, to 1, blurred or flat.
    """
    from skimage.measure import blur_effect  # takes long to import, and prediction does not need it

    height, width = images.shape[2:]
    gray = (luma(images)[:, 0, border : height - border, border : width - border] / 255).cpu().numpy()
    return [float(blur_effect(image.astype(np.float64))) for image in gray]


def mean_scores(table: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Averages each column of floats over the rows that have it.

    >>> row = {"name": "a", "psnr": 30.0}
    >>> mean_scores([row, {"name": "b", "psnr": 32.0, "lpips": 0.25}])
    {'psnr': 31.0, 'lpips': 0.25}
    """
    columns: dict[str, list[float]] = {}
    for row in table:
        for name, score in row.items():
            if isinstance(score, float):
                columns.setdefault(name, []).append(score)
    return {name: sum(column) / len(column) for name, column in columns.items()}
