"""Tiled inference: images of any size with bounded memory and without visible seams."""

from collections.abc import Callable, Iterator
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
    """Applies ``net`` to an image tile by tile and blends the results; see ``tiled_strips``.

    Args:
        net: maps (1, 3, h, w) to (1, C, scale * h, scale * w).
        image: (1, 3, H, W).
        scale: magnification of the network.
        tile: largest side of a tile in pixels of the input; an image that fits into one is not divided.
        overlap: of neighboring tiles.
        multiple: tiles start at multiples of this number of pixels.

    Returns:
        float32 (1, C, scale * H, scale * W).

    Raises:
        ValueError: if the overlap is not below the tile's side, or either is not a multiple of ``multiple``.
    """
    out, row = image.new_empty(0, dtype=torch.float32), 0
    for strip in tiled_strips(net, image, scale=scale, tile=tile, overlap=overlap, multiple=multiple):
        if strip.shape[2] == image.shape[2] * scale:
            return strip
        if not row:
            out = strip.new_empty((1, strip.shape[1], image.shape[2] * scale, strip.shape[3]))
        out[:, :, row : row + strip.shape[2]] = strip
        row += strip.shape[2]
    return out


def tiled_strips(
    net: Callable[[Tensor], Tensor],
    image: Tensor,
    *,
    scale: int,
    tile: int = TILE,
    overlap: int = OVERLAP,
    multiple: int = 1,
) -> Iterator[Tensor]:
    """Applies ``net`` tile by tile, and yields the result from top to bottom in strips that are complete.

    Only the strips of two rows of tiles are in memory, so that the size of the image hardly matters.

    Results near the border of a tile lack context. Three eighths of the overlap are therefore dropped on each side,
    and neighbors are blended linearly over the quarter between. If three eighths cover the radius of the receptive
    field (20 for SrResnet's 8 blocks), the result equals that of the whole image; with less, it differs slightly.
    Tiles have one size, the smallest that covers the image with the same number of tiles, and are spread evenly.

    A network with strided layers samples the image on a grid. Tiles that start on that grid (``multiple``) are sampled
    as the whole image is; the last ones are then smaller by less than one step.

    Args:
        net: maps (1, 3, h, w) to (1, C, scale * h, scale * w).
        image: (1, 3, H, W).
        scale: magnification of the network.
        tile: largest side of a tile in pixels of the input; an image that fits into one is not divided.
        overlap: of neighboring tiles.
        multiple: tiles start at multiples of this number of pixels.

    Yields:
        float32 (1, C, h, scale * W); the heights add up to scale * H.

    Raises:
        ValueError: if the overlap is not below the tile's side, or either is not a multiple of ``multiple``.
    """
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be at least 0 and below the tile's side of {tile}, not {overlap}")
    if tile % multiple or overlap % multiple:
        raise ValueError(f"tile and overlap must be multiples of {multiple}, not {tile} and {overlap}")
    height, width = image.shape[2:]
    if height <= tile and width <= tile:
        yield net(image).float()
        return
    sides = tuple(fitting_tile(length, tile, overlap, multiple) for length in (height, width))
    rows, columns = (
        _axis(length, side, overlap, scale, multiple) for length, side in zip((height, width), sides, strict=True)
    )
    carried = torch.empty(0)  # rows of earlier tiles that the next row of tiles adds to
    for number, (top, row_weight) in enumerate(rows):
        strip = torch.empty(0)
        for left, column_weight in columns:
            result = net(image[:, :, top : top + sides[0], left : left + sides[1]]).float()
            if not strip.numel():
                strip = result.new_zeros((1, result.shape[1], len(row_weight), width * scale))
                if number:
                    strip[:, :, : carried.shape[2]] = carried
            weight = row_weight.to(strip.device)[:, None] * column_weight.to(strip.device)[None, :]
            strip[:, :, :, left * scale : left * scale + len(column_weight)] += result * weight
        end = (rows[number + 1][0] - top) * scale if number + 1 < len(rows) else len(row_weight)
        carried = strip[:, :, end:].clone()
        yield strip[:, :, :end]


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


def fitting_tile(length: int, tile: int, overlap: int, multiple: int = 1) -> int:
    """The smallest side, up to ``tile``, with which as many tiles cover ``length`` with the same overlap.

    >>> fitting_tile(512, 320, 48), fitting_tile(100, 320, 48), fitting_tile(101, 40, 12, 4)
    (280, 320, 36)
    """
    tiles = len(tile_starts(length, tile, overlap, multiple))
    if tiles == 1:
        return tile
    side = -(-(length + (tiles - 1) * overlap) // tiles)
    return -(-side // multiple) * multiple
