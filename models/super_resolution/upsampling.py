"""Upsampling blocks: sub-pixel convolution with its initialization (ICNR), and two others for comparison."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized


class SubpixelUpsample(nn.Module):
    """Enlarges feature maps ``scale`` times: a convolution to ``scale**2`` times the channels, then a pixel shuffle.

    Shi et al. 2016, "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network". With ``blur``, the result is filtered by (1, 2, 1) / 4 in both directions, which removes the
    highest frequency. Perceptual losses otherwise bring the checkerboard at 2x back during training, whatever the
    initialization (Sugawara et al. 2018, "Super-Resolution Using Convolutional Neural Networks without Any Checkerboard
    Artifacts"; fast.ai averages two by two, which shifts the image by half a pixel).

    Args:
        channels: channels of input and output.
        scale: magnification, 2 or more.
        kernel: side of the convolution, odd.
        blur: filter the output.

    Raises:
        ValueError: if ``scale`` is below 2.
    """

    def __init__(self, *, channels: int, scale: int = 2, kernel: int = 3, blur: bool = False) -> None:
        super().__init__()
        if scale < 2:
            raise ValueError(f"scale must be at least 2, not {scale}")
        self.scale, self.blur = scale, blur
        self.conv = nn.Conv2d(channels, channels * scale**2, kernel, padding=kernel // 2)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, scale * H, scale * W)."""
        out: Tensor = self.shuffle(self.conv(x))
        if not self.blur:
            return out
        return F.avg_pool2d(F.avg_pool2d(F.pad(out, [1, 1, 1, 1], mode="replicate"), 2, stride=1), 2, stride=1)


class NearestUpsample(nn.Module):
    """Doubles feature maps by nearest neighbor, followed by a 3x3 convolution (Odena et al. 2016).

    Args:
        channels: channels of input and output.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, 2 * H, 2 * W)."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return out


class TransposedUpsample(nn.Module):
    """Doubles feature maps by a transposed 3x3 convolution of stride 2, as Johnson et al. 2016.

    Kernel and stride do not divide, so that some pixels get more contributions than others: a checkerboard (Odena et
    al. 2016, "Deconvolution and Checkerboard Artifacts"). Kept as a comparison.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) to (N, C, 2 * H, 2 * W)."""
        out: Tensor = self.conv(x)
        return out


@torch.no_grad()
def icnr_(conv: nn.Conv2d, scale: int) -> None:
    """Initializes a convolution before ``PixelShuffle(scale)`` so that both are nearest-neighbor upsampling, in place.

    The ``scale**2`` output channels that form one square of pixels get the same kernel (Kaiming normal) and a bias of 0
    (Aitken et al. 2017, "Checkerboard artifact free sub-pixel convolution"; the paper has no bias, and independent
    biases would cause the checkerboard again).

    A weight under a parametrization such as weight norm is set through it. The older ``torch.nn.utils.weight_norm``
    recomputes the weight before each forward pass and would discard the values: it is refused.

    Args:
        conv: has a multiple of ``scale**2`` output channels.
        scale: of the pixel shuffle.

    Raises:
        ValueError: if the number of channels does not fit, or the weight cannot be set.
    """
    if conv.out_channels % scale**2:
        raise ValueError(f"{conv.out_channels} output channels are no multiple of {scale}**2, as PixelShuffle needs")
    if not (is_parametrized(conv, "weight") or isinstance(conv.weight, nn.Parameter)):
        raise ValueError("the weight is computed by a hook: use torch.nn.utils.parametrizations.weight_norm instead")
    one = torch.empty_like(conv.weight[:: scale**2], memory_format=torch.contiguous_format)
    nn.init.kaiming_normal_(one, nonlinearity="relu")
    weight = one.repeat_interleave(scale**2, dim=0)
    if is_parametrized(conv, "weight"):
        conv.weight = weight  # calls the parametrization's right_inverse
    else:
        conv.weight.copy_(weight)
    if conv.bias is not None:
        conv.bias.zero_()
