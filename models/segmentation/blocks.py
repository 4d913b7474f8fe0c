"""Layers that the segmentation nets share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn_relu(in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU; keeps the size, or halves it rounding up with ``stride=2``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Brings feature maps to the height and width of ``like``, bilinearly."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def crop_to(x: Tensor, like: Tensor) -> Tensor:
    """Cuts what ``x`` has more than ``like`` in height and width, at the bottom and on the right.

    A layer of stride 2 rounds an odd side up, so doubling it again gives one row or column too many at that end.
    """
    return x[:, :, : like.shape[2], : like.shape[3]]


class UpBlock(nn.Module):
    """One step of a U-Net's way up: resize to the skip, join, two 3x3 convolutions.

    A 1x1 convolution first brings ``x`` down to ``width`` channels where it has more, at the lower resolution, where
    that is cheap: the wide ends of MobileNet and EfficientNet would otherwise take most of the decoder's time.

    Args:
        in_channels: of the way up.
        skip_channels: of the skip.
        width: channels of the result.
    """

    def __init__(self, *, in_channels: int, skip_channels: int, width: int) -> None:
        super().__init__()
        narrow = in_channels > width
        self.reduce = conv_bn_relu(in_channels, width, kernel=1) if narrow else nn.Identity()
        self.convs = nn.Sequential(
            conv_bn_relu((width if narrow else in_channels) + skip_channels, width), conv_bn_relu(width, width)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Maps (N, in_channels, h, w) and the skip (N, skip_channels, H, W) to (N, width, H, W)."""
        joined = torch.cat([resize_to(self.reduce(x), skip), skip], dim=1)
        out: Tensor = self.convs(joined)
        return out


def resize_probs(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes probabilities to the size of an image: bilinear, with an antialiasing filter when shrinking.

    Test scores and written masks both use it.

    Args:
        probs: (N, C, h, w) in [0, 1].
        size: height and width of the result.
    """
    shrinks = size[0] < probs.shape[-2] or size[1] < probs.shape[-1]
    return F.interpolate(probs, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
