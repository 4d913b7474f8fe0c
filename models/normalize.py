"""Normalization as a layer of the network, so that images are in [0, 1] everywhere else."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation per channel.

    The first three channels are RGB. Further channels (near infrared, depth, ...), and all channels of images with
    fewer than three, use the average of the RGB values; for ImageNet 0.449 and 0.226.

    The values are buffers and in the state dict.

    Args:
        mean: of red, green and blue, in [0, 1].
        std: of red, green and blue.
        channels: number of channels of the images.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, mean: Sequence[float], std: Sequence[float], channels: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel(mean, channels))
        self.register_buffer("std", _per_channel(std, channels))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) in [0, 1] to about zero mean and unit standard deviation."""
        return (images - self.mean) / self.std


def _per_channel(rgb: Sequence[float], channels: int) -> Tensor:
    average = sum(rgb) / 3
    values = [*rgb, *[average] * (channels - 3)] if channels >= 3 else [average] * channels
    return torch.tensor(values).view(1, channels, 1, 1)
