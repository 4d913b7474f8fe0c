"""A pixel loss for colorization, in which saturated colors count more."""

import torch
from torch import Tensor, nn

from models.losses.pixel import full_precision

#: Luma of red, green and blue, ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


def chroma_errors(preds: Tensor, target: Tensor, *, balance: float) -> tuple[Tensor, Tensor]:
    """Mean absolute error of the luma, and the weighted one of the chroma.

    Most pixels of most images are nearly gray. The plain mean therefore favors gray where colors are uncertain, and a
    colorized image is a sepia print. Weights that grow with the chroma of the target work against it, as the
    rebalancing of colors in Zhang et al. 2016, "Colorful Image Colorization", which does it for classes of colors.

    Args:
        preds: (N, 3, H, W), RGB, about [0, 1].
        target: same shape as ``preds``.
        balance: the weight of a pixel is 1 plus this number times the length of its ``(B - Y, R - Y)``, which is 0 for
            gray and about 0.9 for pure blue; weights are divided by their mean.

    Returns:
        Two scalars: the error of ``Y``, and the sum of those of ``B - Y`` and ``R - Y``.

    Raises:
        ValueError: if the shapes differ.
    """
    if preds.shape != target.shape:
        raise ValueError(f"predictions {tuple(preds.shape)} and targets {tuple(target.shape)} differ in shape")
    (luma, chroma), (true_luma, true_chroma) = (_split(full_precision(images)) for images in (preds, target))
    weight = 1 + balance * torch.linalg.vector_norm(true_chroma, dim=1)
    error = (chroma - true_chroma).abs().sum(1)
    return (luma - true_luma).abs().mean(), (weight / weight.mean() * error).mean()


class ChromaLoss(nn.Module):
    """Mean absolute error of the luma, and that of the chroma with weights that favor saturated colors.

    Args:
        balance: see ``chroma_errors``; 0 weights all pixels equally.

    Raises:
        ValueError: if ``balance`` is negative.
    """

    def __init__(self, *, balance: float = 8.0) -> None:
        super().__init__()
        if balance < 0:
            raise ValueError(f"balance must not be negative, not {balance:g}")
        self.balance = balance

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Returns the losses ``luma`` and ``chroma``; see ``chroma_errors``."""
        luma, chroma = chroma_errors(preds, target, balance=self.balance)
        return {"luma": luma, "chroma": chroma}


def _split(images: Tensor) -> tuple[Tensor, Tensor]:
    """Luma (N, H, W), and ``B - Y`` and ``R - Y`` (N, 2, H, W)."""
    red, green, blue = images.unbind(1)
    luma = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return luma, torch.stack([blue - luma, red - luma], dim=1)
