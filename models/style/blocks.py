"""Layers of the style networks: convolution with norm and ReLU, residual block, norm."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from models.style.tiled_instance_norm import TiledInstanceNorm2d

Norm = Literal["batch", "instance"]
Order = Literal["norm_relu", "relu_norm"]


class ResidualBlock(nn.Module):
    """``norm(conv(relu(norm(conv(x)))))`` plus ``x``.

    No ReLU follows the sum (Gross and Wilber 2016, as in Johnson et al.).

    Args:
        width: channels.
        norm: ``"batch"`` or ``"instance"``.
        order: ``"relu_norm"`` swaps norm and ReLU.
        second_relu: ReLU beside the second norm too.
        padded: whether the convolutions pad by reflection; otherwise ``x`` is cropped by the 2 pixels that they lose.
    """

    def __init__(
        self, *, width: int, norm: Norm, order: Order = "norm_relu", second_relu: bool = False, padded: bool = False
    ) -> None:
        super().__init__()
        self.relu_first, self.second_relu, self.padded = order == "relu_norm", second_relu, padded
        self.conv1, self.norm1 = _conv(width, width, padded=padded), make_norm(width, norm)
        self.conv2, self.norm2 = _conv(width, width, padded=padded), make_norm(width, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, width, h, w) to (N, width, h - 4, w - 4), or to the same shape if padded."""
        residual = self._activate(self.conv1(x), self.norm1, relu=True)
        residual = self._activate(self.conv2(residual), self.norm2, relu=self.second_relu)
        return (x if self.padded else x[:, :, 2:-2, 2:-2]) + residual

    def _activate(self, x: Tensor, norm: nn.Module, *, relu: bool) -> Tensor:
        out: Tensor = norm(F.relu(x)) if relu and self.relu_first else norm(x)
        return F.relu(out) if relu and not self.relu_first else out


def conv_norm_relu(
    in_channels: int, out_channels: int, norm: Norm, order: Order, *, kernel: int = 3, stride: int = 1
) -> nn.Module:
    """Convolution with reflection padding, norm and ReLU; keeps the size, or halves it with ``stride=2``."""
    conv = _conv(in_channels, out_channels, kernel=kernel, stride=stride)
    layers = [make_norm(out_channels, norm), nn.ReLU(inplace=True)]
    return nn.Sequential(conv, *(layers if order == "norm_relu" else reversed(layers)))


def make_norm(channels: int, norm: Norm) -> nn.Module:
    """Batch norm, or instance norm with a learned scale and shift."""
    return nn.BatchNorm2d(channels) if norm == "batch" else TiledInstanceNorm2d(channels)


def _conv(in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1, padded: bool = True) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2 if padded else 0,
        padding_mode="reflect" if padded else "zeros",
        bias=False,  # the norm has one
    )
