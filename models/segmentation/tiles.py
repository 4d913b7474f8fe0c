"""Segmentation of large images in tiles: which images are divided and how, and what is kept of the result."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

#: Tiles start at multiples of the deepest reduction of the encoders, so that they are sampled as the whole image is.
STRIDE = 32
#: An image with a side of more than this many times the training size is divided.
LARGE = 4
#: Largest side of the probabilities that are kept for figures.
FIGURE_SIDE = 1024


class Tiles(NamedTuple):
    """How an image is divided; the arguments of ``tiled_inference``."""

    scale: int
    tile: int
    overlap: int
    multiple: int


def choose_tiles(longest: int, *, tile: int | Literal["auto", "none"], train_size: int | None) -> Tiles | None:
    """Decides whether and how an image is divided.

    Neighboring tiles overlap by a quarter of their side.

    Args:
        longest: longer side of the image in pixels.
        tile: side of the tiles; ``"auto"`` takes twice the training size, rounded up to the stride, and divides only
            images of more than four times the training size; ``"none"`` divides none.
        train_size: side of the training images in pixels; ``None`` if it is not known.

    Returns:
        The tiles, or ``None`` if the image is processed as a whole.

    >>> choose_tiles(12000, tile="auto", train_size=256)
    Tiles(scale=1, tile=512, overlap=128, multiple=32)
    >>> choose_tiles(1024, tile="auto", train_size=256) is None
    True
    """
    if tile == "none" or (tile == "auto" and (train_size is None or longest <= LARGE * train_size)):
        return None
    side = -(-2 * (train_size or 0) // STRIDE) * STRIDE if tile == "auto" else tile
    side = max(side, 2 * STRIDE)
    if longest <= side:
        return None
    return Tiles(scale=1, tile=side, overlap=max(side // 4 // STRIDE, 1) * STRIDE, multiple=STRIDE)


def unit_floats(image: Tensor) -> Tensor:
    """Converts uint8 to float32 in [0, 1]; floats stay as they are."""
    return image.float() / 255 if image.dtype == torch.uint8 else image


def log_odds(probs: Tensor) -> Tensor:
    """Logits ``(N, C, H, W)`` whose sigmoid (one class) or softmax (several) are the given probabilities."""
    tiny = torch.finfo(probs.dtype).eps
    return torch.logit(probs, eps=tiny) if probs.shape[1] == 1 else probs.clamp_min(tiny).log()


def thin_out(maps: Tensor, rows: slice, *, longest: int) -> Tensor:
    """Every n-th pixel of a strip of an image, so that the longest side of the whole has ``FIGURE_SIDE`` at most.

    Args:
        maps: (N, C, h, W), the strip.
        rows: rows of the image that the strip holds.
        longest: longer side of the image.
    """
    step = -(-longest // FIGURE_SIDE)
    return maps[:, :, (step // 2 - rows.start) % step :: step, step // 2 :: step]
