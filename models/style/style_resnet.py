"""StyleResnet: a residual network that repaints images in the manner of one painting (Johnson et al. 2016)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.style.tiled_instance_norm import TiledInstanceNorm2d

Norm = Literal["batch", "instance"]
Upsample = Literal["nearest", "bilinear"]

#: What each residual block takes off every side, in pixels of the image: two unpadded 3x3 convolutions at a quarter.
_BLOCK_BORDER = 8
#: What all else sees around a pixel: with bilinear enlarging 20, with nearest neighbour 16.
_OTHERS_BORDER = 20


class StyleResnet(nn.Module):
    """Repaints images; fully convolutional, the output as large as the input, for any size from a single pixel up.

    Reflection padding; 9x9 convolution; two convolutions of stride 2; residual blocks of two unpadded 3x3 convolutions
    whose shortcut is cropped; two times enlarging and a 3x3 convolution; 9x9 convolution to RGB. Norm and ReLU follow
    each convolution but the last. After "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", in the
    form of fast.ai's lesson 14. The reflected border of 8 pixels a block (40 for 5 blocks) is what the blocks eat up.

    Departures from the lesson. Sizes that are no multiple of 4 are filled up by reflection and cut again, where its
    net returns another size than it got. All other convolutions continue the maps by reflection, where its net puts
    zeros around them, which shows as a frame around the result. A sigmoid keeps the colors in [0, 1].

    With ``norm="batch"`` a pixel of the result depends on those within ``reach`` alone, once the network is trained:
    tiles of an image agree with the whole. With ``norm="instance"`` (Ulyanov et al. 2016), which adapts to each
    image's contrast, every pixel depends on the whole image; ``shared_statistics``
    (``models/style/tiled_instance_norm.py``) lets tiles agree with each other.

    Args:
        width: channels at full size; twice as many at half of it, four times at a quarter.
        blocks: residual blocks.
        norm: batch norm, or instance norm with a learnt scale and shift.
        upsample: how maps are enlarged; neither kind leaves checkerboards as transposed convolutions do.

    Raises:
        ValueError: if a number is out of its range, or a kind unknown.
    """

    #: Images are cut on such steps, so that the strided convolutions meet the same pixels in every tile.
    multiple = 4

    def __init__(
        self,
        *,
        width: int = 32,
        blocks: int = 5,
        norm: Norm = "batch",
        upsample: Upsample = "nearest",
    ) -> None:
        super().__init__()
        if width < 1 or blocks < 1:
            raise ValueError(f"width and blocks must be at least 1, not {width} and {blocks}")
        if norm not in ("batch", "instance"):
            raise ValueError(f"norm must be batch or instance, not {norm!r}")
        if upsample not in ("nearest", "bilinear"):
            raise ValueError(f"upsample must be nearest or bilinear, not {upsample!r}")
        self.upsample = upsample
        self.border = _BLOCK_BORDER * blocks
        self.down = nn.Sequential(
            _conv_norm_relu(3, width, norm, kernel=9),
            _conv_norm_relu(width, 2 * width, norm, stride=2),
            _conv_norm_relu(2 * width, 4 * width, norm, stride=2),
        )
        self.blocks = nn.Sequential(*(UnpaddedBlock(width=4 * width, norm=norm) for _ in range(blocks)))
        self.up = nn.ModuleList([_conv_norm_relu(4 * width, 2 * width, norm), _conv_norm_relu(2 * width, width, norm)])
        self.tail = nn.Conv2d(width, 3, 9, padding=4, padding_mode="reflect")

    @property
    def reach(self) -> int:
        """How many pixels around a pixel of the result the network sees, at most, if its norm is batch norm."""
        return self.border + _OTHERS_BORDER

    def forward(self, images: Tensor) -> Tensor:
        """Repaints RGB images.

        Args:
            images: (N, 3, H, W) float32 in [0, 1].

        Returns:
            float32 (N, 3, H, W) in [0, 1].
        """
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(f"images must be (N, 3, H, W), not {tuple(images.shape)}")
        height, width = images.shape[2:]
        x = self.blocks(self.down(reflect(images, self.border, least=8, multiple=self.multiple)))
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2, mode=self.upsample))
        return torch.sigmoid(self.tail(x)[:, :, :height, :width].float())

    def layer_groups(self) -> list[list[nn.Module]]:
        """The way down, the residual blocks, the way up."""
        return [[self.down], [self.blocks], [self.up, self.tail]]


class UnpaddedBlock(nn.Module):
    """``norm(conv(relu(norm(conv(x)))))`` plus ``x``, whose border of 2, which the convolutions lose, is cut off.

    No ReLU follows the sum (Gross and Wilber 2016, as Johnson et al. have it).

    Args:
        width: channels.
        norm: see ``StyleResnet``.
    """

    def __init__(self, *, width: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, bias=False)
        self.norm1 = _norm(width, norm)
        self.conv2 = nn.Conv2d(width, width, 3, bias=False)
        self.norm2 = _norm(width, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, width, h, w) to (N, width, h - 4, w - 4)."""
        residual: Tensor = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return x[:, :, 2:-2, 2:-2] + residual


def reflect(images: Tensor, border: int, *, least: int, multiple: int) -> Tensor:
    """Continues images by reflection, again and again where the border is wider than the image.

    ``F.pad`` refuses borders that are as wide as the image.

    Args:
        images: (N, C, H, W).
        border: on every side.
        least: what is smaller is first filled up to so many pixels, at the bottom and on the right,
        multiple: and to such a number.

    Returns:
        (N, C, H' + 2 * border, W' + 2 * border), where H' and W' are the filled-up height and width.

    >>> reflect(torch.arange(3.0).view(1, 1, 1, 3), 2, least=1, multiple=2)[0, 0, 2]
    tensor([2., 1., 0., 1., 2., 1., 0., 1.])
    """
    height, width = images.shape[2:]
    rows, columns = (
        _reflected(length, -border, max(least, -(-length // multiple) * multiple) + border, images.device)
        for length in (height, width)
    )
    return images.index_select(2, rows).index_select(3, columns)


def _reflected(length: int, start: int, stop: int, device: torch.device) -> Tensor:
    """Which pixels of a row of ``length`` lie at the places from ``start`` to ``stop``."""
    last = length - 1
    places = torch.arange(start, stop, device=device)
    return last - (places % max(2 * last, 1) - last).abs()


def _conv_norm_relu(in_channels: int, out_channels: int, norm: Norm, *, kernel: int = 3, stride: int = 1) -> nn.Module:
    """Convolution that continues its input by reflection, norm, ReLU; keeps the size, or halves it."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            padding_mode="reflect",
            bias=False,  # the norm has one
        ),
        _norm(out_channels, norm),
        nn.ReLU(inplace=True),
    )


def _norm(channels: int, norm: Norm) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else TiledInstanceNorm2d(channels)
