"""Tiled inference: images of any size with bounded memory and without visible seams."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

#: Default side of a tile and overlap of neighboring tiles, in pixels of the input.
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
    """Applies ``net`` to an image tile by tile and blends the results.

    Results near the border of a tile lack context. Three eighths of the overlap are therefore dropped on each side,
    and neighbors are blended linearly over the quarter between. If three eighths cover the radius of the receptive
    field (20 for SrResnet's 8 blocks), the result equals that of the whole image; with less, it differs slightly.
    Tiles have one size and are spread evenly.

    A network with strided layers samples the image on a grid. Tiles that start on that grid (``multiple``) are sampled
    as the whole image is; the last ones are then smaller by less than one step.

    Args:
        net: maps (1, 3, h, w) to (1, 3, scale * h, scale * w).
        image: (1, 3, H, W).
        scale: magnification of the network.
        tile: side of a tile in pixels of the input; an image that fits into one is not divided.
        overlap: of neighboring tiles.
        multiple: tiles start at multiples of this number of pixels.

    Returns:
        float32 (1, 3, scale * H, scale * W).

    Raises:
        ValueError: if the overlap is not below the tile's side, or either is not a multiple of ``multiple``.
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
    for top, row_weight in rows:
        for left, column_weight in columns:
            result = net(image[:, :, top : top + tile, left : left + tile]).float()
            weight = row_weight.to(out.device)[:, None] * column_weight.to(out.device)[None, :]
            bottom, right = top * scale + len(row_weight), left * scale + len(column_weight)
            out[:, :, top * scale : bottom, left * scale : right] += result * weight
    return out


def _axis(length: int, tile: int, overlap: int, scale: int, multiple: int) -> list[tuple[int, Tensor]]:
    """Starts of the tiles along one axis, and the weight of each of their output pixels; weights sum to 1."""
    starts = tile_starts(length, tile, overlap, multiple)
    weights = [torch.ones(min(tile, length - start) * scale) for start in starts]
    for number, (first, second) in enumerate(pairwise(starts)):
        shared = (first + tile - second) * scale
        rise = ((torch.arange(shared) + 0.5 - shared * 3 / 8) / (shared / 4)).clamp(0, 1)
        weights[number + 1][:shared] *= rise
        weights[number][tile * scale - shared :] *= 1 - rise
    total = torch.zeros(length * scale)  # 1 except where three tiles overlap
    for start, weight in zip(starts, weights, strict=True):
        total[start * scale : start * scale + len(weight)] += weight
    return [
        (start, weight / total[start * scale : start * scale + len(weight)])
        for start, weight in zip(starts, weights, strict=True)
    ]


def tile_starts(length: int, tile: int, overlap: int, multiple: int = 1) -> list[int]:
    """Spreads tiles evenly over ``length``, with an overlap of at least ``overlap``, starting at multiples.

    >>> tile_starts(100, 40, 10), tile_starts(30, 40, 10), tile_starts(101, 40, 12, 4)
    ([0, 30, 60], [0], [0, 20, 40, 64])
    """
    if length <= tile:
        return [0]
    last, step = -(-(length - tile) // multiple), (tile - overlap) // multiple  # in units of ``multiple``
    steps = -(-last // step)
    return [number * last // steps * multiple for number in range(steps + 1)]
