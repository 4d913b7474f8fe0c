"""Images of any size through a network in tiles, so that memory is bounded, without a visible seam."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

#: Side of a tile and overlap of neighbours, in pixels of the input.
TILE, OVERLAP = 320, 48


def tiled_inference(
    net: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    scale: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
    multiple: int = 1,
) -> Tensor:
    """Sends an image through ``net`` tile by tile.

    Near the rim of a tile the network sees the rim and not the image. So three eighths of the overlap on each side
    are not used at all, and over the middle quarter one tile fades into the next. Where three eighths are what the
    network sees around a pixel (20 for SrResnet's 8 blocks), the result is that of the whole image; with less, it
    differs by what such far pixels add, which is little. Tiles are of one size and spread evenly.

    A network with strided layers sees an image on a grid of steps. Where tiles begin on that grid too (``multiple``),
    they meet the pixels as the whole image does; the last ones are then smaller by less than a step.

    Args:
        net: maps (1, 3, h, w) to (1, 3, scale * h, scale * w).
        image: (1, 3, H, W).
        scale: of the network.
        tile: side of a tile in pixels of the input; an image that fits in one goes through whole.
        overlap: of neighbouring tiles.
        multiple: tiles begin at multiples of so many pixels.

    Returns:
        float32 (1, 3, scale * H, scale * W).

    Raises:
        ValueError: if the overlap is not below the tile's side, or one of them is no multiple of ``multiple``.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be at least 0 and below the tile's side of {tile}, not {overlap}")
    if tile % multiple or overlap % multiple:
        raise ValueError(f"tile and overlap must be multiples of {multiple}, not {tile} and {overlap}")
    _, channels, height, width = image.shape
    if height <= tile and width <= tile:
        return net(image).float()
    rows, columns = (_axis(length, tile, overlap, scale, multiple) for length in (height, width))
    out = image.new_zeros((1, channels, height * scale, width * scale), dtype=torch.float32)
    for top, rise in rows:
        for left, across in columns:
            done = net(image[:, :, top : top + tile, left : left + tile]).float()
            weight = rise.to(out.device)[:, None] * across.to(out.device)[None, :]
            bottom, right = top * scale + len(rise), left * scale + len(across)
            out[:, :, top * scale : bottom, left * scale : right] += done * weight
    return out


def _axis(length: int, tile: int, overlap: int, scale: int, multiple: int) -> list[tuple[int, Tensor]]:
    """Where tiles start along one axis, and the weight of each of their pixels (of the output); weights add up to 1."""
    starts = tile_starts(length, tile, overlap, multiple)
    weights = [torch.ones(min(tile, length - start) * scale) for start in starts]
    for number, (first, second) in enumerate(pairwise(starts)):
        shared = (first + tile - second) * scale
        rise = ((torch.arange(shared) + 0.5 - shared * 3 / 8) / (shared / 4)).clamp(0, 1)
        weights[number + 1][:shared] *= rise
        weights[number][tile * scale - shared :] *= 1 - rise
    total = torch.zeros(length * scale)  # 1, but for three tiles that share a pixel
    for start, weight in zip(starts, weights, strict=True):
        total[start * scale : start * scale + len(weight)] += weight
    return [
        (start, weight / total[start * scale : start * scale + len(weight)])
        for start, weight in zip(starts, weights, strict=True)
    ]


def tile_starts(length: int, tile: int, overlap: int, multiple: int = 1) -> list[int]:
    """Spreads tiles evenly over ``length``, neighbours sharing ``overlap`` or more, each starting at a ``multiple``.

    >>> tile_starts(100, 40, 10), tile_starts(30, 40, 10), tile_starts(101, 40, 12, 4)
    ([0, 30, 60], [0], [0, 20, 40, 64])
    """
    if length <= tile:
        return [0]
    last, most = -(-(length - tile) // multiple), (tile - overlap) // multiple  # in units of ``multiple``
    steps = -(-last // most)
    return [number * last // steps * multiple for number in range(steps + 1)]
