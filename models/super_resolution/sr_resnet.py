"""SrResnet: a residual network without batch norm for super-resolution (EDSR, Lim et al. 2017)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.super_resolution.upsampling import NearestUpsample, SubpixelUpsample, TransposedUpsample

Upsample = Literal["pixel_shuffle", "nearest", "transposed"]

#: Subtracted before the first convolution, so that its zero padding is mid gray and not black.
_MID_GRAY = 0.5


class SrResnet(nn.Module):
    """Enlarges images 1, 2, 4, ... ``max_scale`` times; fully convolutional, for any input size.

    conv; residual blocks of conv-ReLU-conv times ``residual_scale``; conv; ``log2(active_scale)`` sub-pixel
    upsampling blocks; conv to RGB. After "Enhanced Deep Residual Networks for Single Image Super-Resolution", in the
    size and form of fast.ai's lesson 14, with two shortcuts that the lesson does not have: from the first features to
    those after the body (as in the paper), and from the enlarged image to the output (not in the paper). With the
    latter, the last convolution starts at zero, so an untrained network is bicubic interpolation and learns a residual.

    All upsampling blocks exist from the start; ``active_scale`` sets how many are used, so the state dict has the same
    names at 2x and 4x. All scales share one tail: each block outputs maps of the same width, and a 4x stage starts
    from the tail of the 2x stage. Unused blocks are in no layer group and need no gradient (DDP would wait for it).

    The paper's sizes: ``blocks=16, width=64, residual_scale=1.0`` (baseline) and ``blocks=32, width=256,
    residual_scale=0.1``, both with ``image_skip=False``. The lesson's form: ``residual_scale=0.1, tail_norm=True,
    feature_skip=False, image_skip=False``.

    Args:
        width: channels of the feature maps.
        blocks: number of residual blocks.
        residual_scale: factor on the residual of a block. At this width 1 learns faster than the lesson's 0.1 (Set5 at
            2x after the same 872 steps: 36.83 against 36.63 dB); wide networks need 0.1.
        max_scale: 1, 2, 4, ...; the largest magnification, at which ``active_scale`` starts.
        tail_norm: batch norm before the last convolution, as in the lesson.
        feature_skip: add the first features to those after the body.
        image_skip: add the input, enlarged by bicubic interpolation with a = -0.5 (``enlarge``), to the output.
        blur: filter the output of every upsampling block (``SubpixelUpsample``) against the checkerboards of
            perceptual losses. It has no weights: checkpoints load with or without.
        upsample: kind of the upsampling blocks: sub-pixel convolution, or for comparison nearest neighbor followed by
            a convolution, or a transposed convolution, whose overlap causes checkerboards.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        blocks: int = 8,
        residual_scale: float = 1.0,
        max_scale: int = 4,
        tail_norm: bool = False,
        feature_skip: bool = True,
        image_skip: bool = True,
        blur: bool = False,
        upsample: Upsample = "pixel_shuffle",
    ) -> None:
        super().__init__()
        if width < 1 or blocks < 1:
            raise ValueError(f"width and blocks must be at least 1, not {width} and {blocks}")
        if upsample not in get_args(Upsample):
            raise ValueError(f"upsample must be {' or '.join(get_args(Upsample))}, not {upsample!r}")
        if blur and upsample != "pixel_shuffle":
            raise ValueError(f"blur is for upsample: pixel_shuffle, not {upsample}: set it to false")
        self.max_scale = max_scale
        self.feature_skip, self.image_skip = feature_skip, image_skip
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width=width, scale=residual_scale) for _ in range(blocks)))
        self.after_blocks = nn.Conv2d(width, width, 3, padding=1)
        self.upsampling = nn.ModuleList(
            _upsampling_block(upsample, width, blur=blur) for _ in range(doublings(max_scale))
        )
        self.norm = nn.BatchNorm2d(width) if tail_norm else nn.Identity()
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        if image_skip:
            for parameter in self.tail.parameters():
                nn.init.zeros_(parameter)
        self._doublings = doublings(max_scale)

    @property
    def active_scale(self) -> int:
        """Magnification in use: a power of two, at most ``max_scale``."""
        return int(2**self._doublings)

    @active_scale.setter
    def active_scale(self, scale: int) -> None:
        count = doublings(scale)
        if count > len(self.upsampling):
            raise ValueError(f"scale {scale} is more than the network's max_scale of {self.max_scale}")
        self._doublings = count
        for number, block in enumerate(self.upsampling):
            block.requires_grad_(number < self._doublings)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarges RGB images.

        Args:
            images: (N, 3, H, W) float32 in [0, 1].

        Returns:
            (N, 3, s * H, s * W) for ``s = active_scale``, about [0, 1], not clamped.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (N, 3, H, W), not {tuple(images.shape)}")
        first = self.head(images - _MID_GRAY)
        x = self.after_blocks(self.blocks(first))
        if self.feature_skip:
            x = x + first
        for block in self.upsampling[: self._doublings]:
            x = block(x)
        out: Tensor = self.tail(self.norm(x))
        return out + (enlarge(images, self.active_scale) if self.image_skip else _MID_GRAY)

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: body; upsampling blocks in use (none at scale 1); tail.

        ``Stage.frozen`` of 1 trains upsampling blocks and tail alone, as the lesson does after a change of scale.
        """
        return [
            [self.head, self.blocks, self.after_blocks],
            list(self.upsampling[: self._doublings]),
            [self.norm, self.tail],
        ]


class ResidualBlock(nn.Module):
    """``x + scale * conv(relu(conv(x)))``, without batch norm.

    Args:
        width: channels.
        scale: factor on the residual; 0.1 stabilizes wide networks.
    """

    def __init__(self, *, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, width, H, W) to the same shape."""
        residual: Tensor = self.conv2(F.relu(self.conv1(x), inplace=True))
        return torch.add(x, residual, alpha=self.scale)


def _upsampling_block(kind: Upsample, width: int, *, blur: bool) -> nn.Module:
    if kind == "pixel_shuffle":
        return SubpixelUpsample(channels=width, blur=blur)
    return NearestUpsample(channels=width) if kind == "nearest" else TransposedUpsample(channels=width)


def doublings(scale: int) -> int:
    """Returns the base-2 logarithm of ``scale``: the number of 2x upsampling blocks.

    Raises:
        ValueError: if it is no power of two.

    >>> doublings(1), doublings(2), doublings(8)
    (0, 1, 3)
    """
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"scale must be 1, 2, 4, 8, ..., not {scale}")
    return scale.bit_length() - 1


def enlarge(images: Tensor, scale: int) -> Tensor:
    """Enlarges images (N, 3, H, W) by bicubic interpolation with Keys' kernel, a = -0.5, the usual baseline.

    PyTorch's bicubic has a = -0.75. With ``antialias`` it has a = -0.5, as MATLAB and Pillow; when enlarging, this is
    the only effect of that option. On Set5 at 2x: 33.68 dB, as published, against 33.97 with a = -0.75.
    """
    if scale == 1:
        return images
    return F.interpolate(images, scale_factor=scale, mode="bicubic", align_corners=False, antialias=True)
