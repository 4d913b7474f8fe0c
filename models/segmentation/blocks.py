"""Layers shared by the segmentation networks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn_relu(in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU; keeps the size, or halves it (rounded up) with ``stride=2``."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Resizes feature maps to the height and width of ``like``, bilinear."""
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def crop_to(x: Tensor, like: Tensor) -> Tensor:
    """Crops ``x`` to the height and width of ``like``, at the bottom and on the right.

    A layer of stride 2 rounds an odd side up, so doubling it gives one row or column too many.
    """
    return x[:, :, : like.shape[2], : like.shape[3]]


class UpBlock(nn.Module):
    """Decoder block of a U-Net: resize to the skip connection, concatenate, two 3x3 convolutions.

    If ``x`` has more than ``width`` channels, a 1x1 convolution first reduces them at the lower resolution; the wide
    last layers of MobileNet and EfficientNet would otherwise take most of the decoder's time.

    Args:
        in_channels: channels of the deeper feature map.
        skip_channels: channels of the skip connection.
        width: channels of the output.
    """

    def __init__(self, *, in_channels: int, skip_channels: int, width: int) -> None:
        super().__init__()
        reduces = in_channels > width
        self.reduce = conv_bn_relu(in_channels, width, kernel=1) if reduces else nn.Identity()
        self.convs = nn.Sequential(
            conv_bn_relu((width if reduces else in_channels) + skip_channels, width), conv_bn_relu(width, width)
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
