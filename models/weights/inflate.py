"""RGB weights of a first convolution for images with another number of channels."""

import torch
from torch import Tensor


def inflate_channels(weight: Tensor, channels: int) -> Tensor:
    """Adapts a convolution kernel of RGB images to another number of channels.

    The first three channels keep the weights of red, green and blue, further ones start with their mean, and all are
    multiplied by ``3 / channels``: an image whose channels are all equal gives the same output as its RGB image. This
    is the rule by which Carreira and Zisserman (2017) inflate filters to a new axis: copies, divided by their number.
    Departure from timm and segmentation_models.pytorch, which repeat red, green and blue in turn: a new channel is
    none of the three. With fewer than three channels, all start with the mean.

    Args:
        weight: (O, 3, h, w).
        channels: number of channels, at least 1.

    Returns:
        (O, channels, h, w), a new tensor.
    """
    mean = weight.mean(dim=1, keepdim=True)
    if channels < 3:
        inflated = mean.repeat(1, channels, 1, 1)
    else:
        inflated = torch.cat([weight, mean.expand(-1, channels - 3, -1, -1)], dim=1)
    return inflated * (3 / channels)
