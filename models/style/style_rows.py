"""Scales and shifts for the styles of a network from a network of other styles."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.style.multi_style_resnet import MultiStyleResnet


def fit_style_rows(
    net: MultiStyleResnet, weights: Mapping[str, Tensor], styles: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Selects scales and shifts by the names of the styles; new styles start from the mean of all in the file.

    Args:
        net: the network to be loaded.
        weights: tensors of another network by name, with or without the prefix ``net.``; scales and shifts of a
            network of one style, (channels,), are the start of every style.
        styles: names of the styles of ``weights``, in the order of the rows.

    Returns:
        ``weights`` with rows for ``net.styles``, and the names of the styles that are new.
    """
    rows = {f"{name}.{kind}" for name, module in net.named_modules() if module in net.norms() for kind in _ROWS}
    fitted = {
        name: _rows_for(net.styles, tensor, styles) if name.removeprefix("net.") in rows else tensor
        for name, tensor in weights.items()
    }
    return fitted, [name for name in net.styles if name not in styles]


_ROWS = ("weight", "bias")


def _rows_for(names: Sequence[str], tensor: Tensor, styles: Sequence[str]) -> Tensor:
    table = tensor if tensor.ndim == 2 else tensor[None]
    known = dict(zip(styles, table, strict=False))
    mean = table.float().mean(0).to(table.dtype)
    return torch.stack([known.get(name, mean) for name in names])
