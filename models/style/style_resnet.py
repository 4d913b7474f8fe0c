"""StyleResnet: a residual network that renders images in the style of one image (Johnson et al. 2016)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.style.tiled_instance_norm import TiledInstanceNorm2d

Norm = Literal["batch", "instance"]
Upsample = Literal["nearest", "bilinear"]
Order = Literal["norm_relu", "relu_norm"]
Tail = Literal["sigmoid", "norm"]

#: Pixels of the image that a residual block crops on each side: two unpadded 3x3 convolutions at 1/4 of the size.
_BLOCK_BORDER = 8
#: Receptive field radius of all other layers in pixels: 20 with bilinear upsampling, 16 with nearest neighbor.
_OTHERS_BORDER = 20


class StyleResnet(nn.Module):
    """Fully convolutional style network; the output has the size of the input, which can be any.

    Reflection padding; 9x9 convolution; two convolutions of stride 2; residual blocks of two unpadded 3x3 convolutions
    with a cropped shortcut; twice upsampling by 2 and a 3x3 convolution; 9x9 convolution to RGB. Norm and ReLU follow
    each convolution except the last. After "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", as
    in fast.ai's lesson 14. The unpadded blocks crop the padding of 8 pixels per block (40 for 5 blocks).

    Departures from the lesson that options undo: ReLU after the norm (``order``), none after the second convolution of
    a block (``second_relu``), a sigmoid that keeps the colors in [0, 1] (``tail``).
    Others: sides that are no multiple of 4 are padded by reflection and cropped again, while its
    network returns another size than it got. All other convolutions pad by reflection; its network pads with zeros,
    which is visible as a frame around the result.

    With ``norm="batch"`` and in eval mode an output pixel depends only on pixels within ``reach``, so tiles agree with
    the whole image. With ``norm="instance"`` (Ulyanov et al. 2016) it depends on the whole image;
    ``shared_statistics`` (``models/style/tiled_instance_norm.py``) makes tiles consistent.

    Args:
        width: channels at full size; twice as many at 1/2, four times at 1/4 of the size.
        blocks: number of residual blocks.
        norm: batch norm, or instance norm with a learned scale and shift.
        upsample: interpolation; unlike transposed convolutions, neither kind causes checkerboards.
        order: of norm and ReLU after a convolution; the lesson has ``"relu_norm"``.
        second_relu: ReLU after the second convolution of a residual block too, as in the lesson.
        tail: after the last convolution: ``"sigmoid"``, or ``"norm"``, the lesson's batch norm without activation,
            whose output is only about [0, 1].

    Raises:
        ValueError: if a number is out of range, or an option unknown.
    """

    #: Tiles start at multiples of this number, so that the strided convolutions sample the same pixels in every tile.
    multiple = 4

    def __init__(
        self,
        *,
        width: int = 32,
        blocks: int = 5,
        norm: Norm = "batch",
        upsample: Upsample = "nearest",
        order: Order = "norm_relu",
        second_relu: bool = False,
        tail: Tail = "sigmoid",
    ) -> None:
        super().__init__()
        if width < 1 or blocks < 1:
            raise ValueError(f"width and blocks must be at least 1, not {width} and {blocks}")
        given = {"norm": norm, "upsample": upsample, "order": order, "tail": tail}
        for (option, value), kinds in zip(given.items(), (Norm, Upsample, Order, Tail), strict=True):
            if value not in get_args(kinds):
                raise ValueError(f"{option} must be {' or '.join(get_args(kinds))}, not {value!r}")
        self.upsample, self.sigmoid = upsample, tail == "sigmoid"
        self.border = _BLOCK_BORDER * blocks
        self.down = nn.Sequential(
            _conv_norm_relu(3, width, norm, order, kernel=9),
            _conv_norm_relu(width, 2 * width, norm, order, stride=2),
            _conv_norm_relu(2 * width, 4 * width, norm, order, stride=2),
        )
        self.blocks = nn.Sequential(
            *(UnpaddedBlock(width=4 * width, norm=norm, order=order, second_relu=second_relu) for _ in range(blocks))
        )
        self.up = nn.ModuleList(
            [_conv_norm_relu(4 * width, 2 * width, norm, order), _conv_norm_relu(2 * width, width, norm, order)]
        )
        self.tail = nn.Conv2d(width, 3, 9, padding=4, padding_mode="reflect", bias=self.sigmoid)
        self.tail_norm = nn.Identity() if self.sigmoid else _norm(3, norm)

    @property
    def reach(self) -> int:
        """Radius of the receptive field in pixels; an upper bound, with batch norm."""
        return self.border + _OTHERS_BORDER

    def forward(self, images: Tensor) -> Tensor:
        """Renders RGB images in the style.

        Args:
            images: (N, 3, H, W) float32 in [0, 1].

        Returns:
            float32 (N, 3, H, W) in [0, 1], with ``tail="norm"`` only about so.
        """
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(f"images must be (N, 3, H, W), not {tuple(images.shape)}")
        height, width = images.shape[2:]
        x = self.blocks(self.down(reflect(images, self.border, least=8, multiple=self.multiple)))
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2, mode=self.upsample))
        out: Tensor = self.tail_norm(self.tail(x))[:, :, :height, :width].float()
        return out.sigmoid() if self.sigmoid else out

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: downsampling, residual blocks, upsampling."""
        return [[self.down], [self.blocks], [self.up, self.tail, self.tail_norm]]


class UnpaddedBlock(nn.Module):
    """``norm(conv(relu(norm(conv(x)))))`` plus ``x``, cropped by the 2 pixels that the unpadded convolutions lose.

    No ReLU follows the sum (Gross and Wilber 2016, as in Johnson et al.).

    Args:
        width: channels.
        norm: ``"batch"`` or ``"instance"``.
        order: ``"relu_norm"`` swaps norm and ReLU.
        second_relu: ReLU beside the second norm too.
    """

    def __init__(self, *, width: int, norm: Norm, order: Order = "norm_relu", second_relu: bool = False) -> None:
        super().__init__()
        self.relu_first, self.second_relu = order == "relu_norm", second_relu
        self.conv1 = nn.Conv2d(width, width, 3, bias=False)
        self.norm1 = _norm(width, norm)
        self.conv2 = nn.Conv2d(width, width, 3, bias=False)
        self.norm2 = _norm(width, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, width, h, w) to (N, width, h - 4, w - 4)."""
        residual = self._activate(self.conv1(x), self.norm1, relu=True)
        residual = self._activate(self.conv2(residual), self.norm2, relu=self.second_relu)
        return x[:, :, 2:-2, 2:-2] + residual

    def _activate(self, x: Tensor, norm: nn.Module, *, relu: bool) -> Tensor:
        out: Tensor = norm(F.relu(x)) if relu and self.relu_first else norm(x)
        return F.relu(out) if relu and not self.relu_first else out


def reflect(images: Tensor, border: int, *, least: int, multiple: int) -> Tensor:
    """Pads images by reflection, repeatedly if the border is wider than the image (which ``F.pad`` refuses).

    Args:
        images: (N, C, H, W).
        border: padding in pixels on every side.
        least: sides are first padded at the bottom and right to at least this number of pixels
        multiple: and to a multiple of this number.

    Returns:
        (N, C, H' + 2 * border, W' + 2 * border), with H' and W' the sides padded to ``least`` and ``multiple``.

    >>> reflect(torch.arange(3.0).view(1, 1, 1, 3), 2, least=1, multiple=2)[0, 0, 2]
    tensor([2., 1., 0., 1., 2., 1., 0., 1.])
    """
    height, width = images.shape[2:]
    rows, columns = (
        _reflected(length, -border, max(least, (length + multiple - 1) // multiple * multiple) + border, images.device)
        for length in (height, width)
    )
    return images.index_select(2, rows).index_select(3, columns)


def _reflected(length: int, start: int, stop: int, device: torch.device) -> Tensor:
    """Indices into a row of ``length`` pixels for the reflected positions from ``start`` to ``stop``."""
    last = length - 1
    positions = torch.arange(start, stop, device=device)
    period = torch.full((), 2 * last, device=device).clamp_min(1)  # a tensor, which can be exported to ONNX
    return last - (positions % period - last).abs()


def _conv_norm_relu(
    in_channels: int, out_channels: int, norm: Norm, order: Order, *, kernel: int = 3, stride: int = 1
) -> nn.Module:
    """Convolution with reflection padding, norm and ReLU; keeps the size, or halves it with ``stride=2``."""
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=kernel // 2,
        padding_mode="reflect",
        bias=False,  # the norm has one
    )
    layers = [_norm(out_channels, norm), nn.ReLU(inplace=True)]
    return nn.Sequential(conv, *(layers if order == "norm_relu" else reversed(layers)))


def _norm(channels: int, norm: Norm) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else TiledInstanceNorm2d(channels)
