"""TransformerNet, the style network of PyTorch's examples, written from Johnson et al. 2016 and its supplement.

Instance norm, reflection padding in every convolution and nearest-neighbor upsampling, as that example has them; no
activation after the last convolution. Used as a peer in ``experiments.benchmarks.style_step``.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class TransformerNet(nn.Module):
    """Maps images (N, 3, H, W) to the same shape; H and W are multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(_layer(3, 32, 9), _layer(32, 64, 3, stride=2), _layer(64, 128, 3, stride=2))
        self.blocks = nn.Sequential(*(_Residual(128) for _ in range(5)))
        self.up1, self.up2 = _layer(128, 64, 3), _layer(64, 32, 3)
        self.last = _conv(32, 3, 9)

    def forward(self, images: Tensor) -> Tensor:
        """Renders images."""
        x = self.blocks(self.down(images))
        for layer in (self.up1, self.up2):
            x = layer(F.interpolate(x, scale_factor=2, mode="nearest"))
        out: Tensor = self.last(x)
        return out


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        second = nn.Sequential(_conv(channels, channels, 3), nn.InstanceNorm2d(channels, affine=True))
        self.body = nn.Sequential(_layer(channels, channels, 3), second)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Module:
    pad = nn.ReflectionPad2d(kernel // 2)
    return nn.Sequential(pad, nn.Conv2d(in_channels, out_channels, kernel, stride))


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Module:
    norm = nn.InstanceNorm2d(out_channels, affine=True)
    return nn.Sequential(_conv(in_channels, out_channels, kernel, stride), norm, nn.ReLU())
