"""Activation checkpointing: layers that are computed again in the backward pass instead of keeping their results."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def apply_layer(layer: nn.Module, *inputs: Tensor, checkpointing: bool) -> Tensor:
    """Calls a layer; with ``checkpointing``, the backward pass computes it again (Chen et al. 2016).

    Results, gradients and the statistics of batch norm are the same with and without: dropout draws the same numbers,
    and batch norm counts a batch once. Without gradients, and in eval mode, the layer is called as usual.

    Args:
        layer: maps ``inputs`` to a tensor.
        inputs: kept for the backward pass.
        checkpointing: whether to keep the inputs alone.
    """
    if not (checkpointing and layer.training and torch.is_grad_enabled()):
        result: Tensor = layer(*inputs)
    else:
        result = checkpoint(layer, *inputs, use_reentrant=False, context_fn=partial(_contexts, layer))
    return result


def _contexts(layer: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """The contexts of the forward pass and of the second computation."""
    return nullcontext(), _fixed_statistics(layer)


@contextmanager
def _fixed_statistics(layer: nn.Module) -> Iterator[None]:
    """Keeps the running statistics of batch norm, which normalizes by the statistics of the batch as before."""
    norms = [module for module in layer.modules() if isinstance(module, _BatchNorm) and module.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # Without running statistics fewer tensors would be saved than in the forward pass, which torch refuses.
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
