"""Reflection padding of images of any size."""

import torch
from torch import Tensor


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
