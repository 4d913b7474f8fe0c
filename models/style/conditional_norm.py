"""Conditional instance norm: one scale and shift per style (Dumoulin et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.style.tiled_instance_norm import TiledInstanceNorm2d, instance_norm


class ConditionalInstanceNorm2d(nn.Module):
    """Instance norm whose scale and shift depend on the style of each image (arXiv:1610.07629, equation 5).

    Args:
        channels: channels of the feature maps.
        styles: number of styles.

    Attributes:
        weight: scales, (styles, channels).
        bias: shifts, (styles, channels).
        style: (N,) int64, the style of each image of the next ``forward``; set by the network.
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(styles, channels))
        self.bias = nn.Parameter(torch.zeros(styles, channels))
        self.eps = 1e-5
        self.style: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, h, w) to the same shape.

        Raises:
            RuntimeError: if the styles of the images are not set.
        """
        if self.style is None:
            raise RuntimeError("the style of the images is not set: call the network with styles")
        return instance_norm(x, self.weight[self.style], self.bias[self.style], eps=self.eps)

    def blended(self, weights: Sequence[float]) -> TiledInstanceNorm2d:
        """Returns an instance norm with the weighted mean of all scales and shifts.

        Args:
            weights: one for each style.
        """
        norm = TiledInstanceNorm2d(self.weight.shape[1]).to(self.weight)
        mix = self.weight.new_tensor(weights)
        with torch.no_grad():
            norm.weight.copy_(mix @ self.weight)
            norm.bias.copy_(mix @ self.bias)
        return norm
