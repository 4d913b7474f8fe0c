"""Whole images of any size through a network that maps images to images: tiles, and integers to floats."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.style.tiled_instance_norm import shared_statistics
from models.tiled_inference import OVERLAP, TILE, tiled_inference

#: Value of white by integer type; int32 carries 16-bit images, since torch cannot compute with uint16.
WHITE = {torch.uint8: 255, torch.int32: 65535}


class Tiling(NamedTuple):
    """How an image is divided, in pixels of the input.

    Attributes:
        scale: magnification of the net.
        tile: side of a tile; an image that fits into one is not divided.
        overlap: of neighboring tiles.
        multiple: tiles start at multiples of this number.
    """

    scale: int = 1
    tile: int = TILE
    overlap: int = OVERLAP
    multiple: int = 1


def run_tiled(net: nn.Module, run: Callable[[Tensor], Tensor], image: Tensor, tiling: Tiling) -> Tensor:
    """Maps one image of any size to the result, in tiles if it is large.

    With batch norm, tiles that overlap by the receptive field agree with the whole image. With instance norm,
    per-tile statistics would give each tile its own contrast. All tiles therefore use the statistics of the whole
    image downscaled to one tile (``shared_statistics``).

    Args:
        net: the network that ``run`` applies, in eval mode.
        run: maps floats (1, 3, h, w) in [0, 1] to (1, 3, scale * h, scale * w).
        image: (1, 3, H, W) RGB: float in [0, 1], uint8, or int32 from 0 to 65535. Integers become floats tile by
            tile, so that a large image is never in memory as floats.
        tiling: how a large image is divided.

    Returns:
        float32 (1, 3, scale * H, scale * W), about [0, 1].
    """
    white = WHITE.get(image.dtype, 1)

    def run_part(part: Tensor) -> Tensor:
        return run(part.float() / white)

    if max(image.shape[2:]) <= tiling.tile:
        return run_part(image).float()
    with shared_statistics(net, run_part, image, side=tiling.tile):
        return tiled_inference(run_part, image, **tiling._asdict())


def restoration_tiling(net: nn.Module, *, scale: int) -> Tiling:
    """Tiles of the default size, or a single one of any size if ``net`` has ``sees_whole_image``.

    Args:
        net: a network that enlarges or restores images.
        scale: its magnification.
    """
    return Tiling(scale=scale, tile=sys.maxsize) if getattr(net, "sees_whole_image", False) else Tiling(scale=scale)


def style_tiling(*, tile: int, reach: int, multiple: int) -> Tiling:
    """The tiles of a network of style transfer, whose overlap covers the receptive field.

    Args:
        tile: largest side of a tile.
        reach: radius of the receptive field in pixels of the image.
        multiple: of the strided layers.

    Raises:
        ValueError: if the tile is too small for the receptive field.
    """
    overlap = -(-reach * 8 // (3 * multiple)) * multiple  # tiled inference drops three eighths on each side
    if tile < 2 * overlap:
        raise ValueError(
            f"tile={tile} is too small for a net that sees {reach} px around each pixel: at least {2 * overlap}"
        )
    return Tiling(tile=tile - tile % multiple, overlap=overlap, multiple=multiple)
