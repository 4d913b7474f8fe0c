"""Mean and standard deviation as part of the net, so that pictures travel in [0, 1] everywhere else."""

import torch
from torch import Tensor, nn

#: Mean and standard deviation of ImageNet's RGB channels, which torchvision's weights were trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation per channel.

    The first three channels are RGB and get ImageNet's figures. Every further channel (near infrared, depth, ...)
    gets the mean of those three, 0.449 and 0.226, and so do all channels of a net with fewer than three.

    The figures are buffers and part of the state dict: a checkpoint is enough to use the net.

    Args:
        channels: number of channels of the pictures.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", _per_channel(IMAGENET_MEAN, channels))
        self.register_buffer("std", _per_channel(IMAGENET_STD, channels))

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, C, H, W) in [0, 1] to about zero mean and unit deviation."""
        return (images - self.mean) / self.std


def _per_channel(rgb: tuple[float, float, float], channels: int) -> Tensor:
    average = sum(rgb) / 3
    values = [*rgb, *[average] * (channels - 3)] if channels >= 3 else [average] * channels
    return torch.tensor(values).view(1, channels, 1, 1)
