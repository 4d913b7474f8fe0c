"""StyleResnet: a residual network that renders images in the style of one image (Johnson et al. 2016)."""

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from models.style.blocks import Norm, Order, ResidualBlock, conv_norm_relu, make_norm
from models.style.reflection import reflect
from models.style.row_conv import RowConv2d

Upsample = Literal["nearest", "bilinear"]
Tail = Literal["sigmoid", "norm"]
Border = Literal["image", "layers"]

#: Pixels of the image that a residual block sees to each side: two 3x3 convolutions at 1/4 of the size.
_BLOCK_REACH = 8
#: Receptive field radius of all other layers in pixels: 20 with bilinear upsampling, 16 with nearest neighbor.
_OTHERS_REACH = 20
#: Smallest side in pixels, for which every layer has something to reflect.
_LEAST = 8


class StyleResnet(nn.Module):
    """Fully convolutional style network; the output has the size of the input, which can be any.

    9x9 convolution; two convolutions of stride 2; residual blocks of two 3x3 convolutions; twice upsampling by 2 and a
    3x3 convolution; 9x9 convolution to RGB. Norm and ReLU follow each convolution except the last. After "Perceptual
    Losses for Real-Time Style Transfer and Super-Resolution", as in fast.ai's lesson 14: the image is padded by
    reflection, 8 pixels per block (40 for 5 blocks), which the unpadded blocks crop again.

    ``border="layers"`` pads the input of every convolution instead, as PyTorch's example network does: patches of 128
    pixels then cost as 128 and not as 208, a factor of 2.6. Both kinds have the same weights, and with batch norm the
    same results except within ``reach`` of the border of the image.

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
        border: ``"image"`` pads the image once, for all blocks; ``"layers"`` pads in every block.

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
        border: Border = "image",
    ) -> None:
        super().__init__()
        if width < 1 or blocks < 1:
            raise ValueError(f"width and blocks must be at least 1, not {width} and {blocks}")
        given = {"norm": norm, "upsample": upsample, "order": order, "tail": tail, "border": border}
        for (option, value), kinds in zip(given.items(), (Norm, Upsample, Order, Tail, Border), strict=True):
            if value not in get_args(kinds):
                raise ValueError(f"{option} must be {' or '.join(get_args(kinds))}, not {value!r}")
        self.upsample, self.sigmoid = upsample, tail == "sigmoid"
        padded = border == "layers"
        self.border = 0 if padded else _BLOCK_REACH * blocks
        self.reach = _BLOCK_REACH * blocks + _OTHERS_REACH
        self.down = nn.Sequential(
            conv_norm_relu(3, width, norm, order, kernel=9),
            conv_norm_relu(width, 2 * width, norm, order, stride=2),
            conv_norm_relu(2 * width, 4 * width, norm, order, stride=2),
        )
        self.blocks = nn.Sequential(
            *(
                ResidualBlock(width=4 * width, norm=norm, order=order, second_relu=second_relu, padded=padded)
                for _ in range(blocks)
            )
        )
        self.up = nn.ModuleList(
            [conv_norm_relu(4 * width, 2 * width, norm, order), conv_norm_relu(2 * width, width, norm, order)]
        )
        self.tail: nn.Conv2d = RowConv2d(width, 3, 9, bias=self.sigmoid)
        self.tail_norm = nn.Identity() if self.sigmoid else make_norm(3, norm)

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
        x = self.blocks(self.down(reflect(images, self.border, least=_LEAST, multiple=self.multiple)))
        for block in self.up:
            x = block(F.interpolate(x, scale_factor=2, mode=self.upsample))
        out: Tensor = self.tail_norm(self.tail(x))[:, :, :height, :width].float()
        return out.sigmoid() if self.sigmoid else out

    def layer_groups(self) -> list[list[nn.Module]]:
        """Three groups: downsampling, residual blocks, upsampling."""
        return [[self.down], [self.blocks], [self.up, self.tail, self.tail_norm]]
