"""Finds the feature trunk of a classifier by running it: which layers follow one another, and at what resolution."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_SIDES = (224, 256)  # both fit every classifier of torchvision, and no two resolutions up to 1/32 coincide


class TrunkLayer(NamedTuple):
    """One layer of the trunk.

    Attributes:
        name: of the module inside the classifier, such as ``"features.3"``.
        channels: of its output.
        reduction: side of the picture over side of the output, rounded to a power of two.
    """

    name: str
    channels: int
    reduction: int


def find_trunk(classifier: nn.Module, *, in_channels: int = 3) -> list[TrunkLayer]:
    """The layers from the picture to the last feature map, in the order in which they run.

    Two probes of different size go through the classifier, and a layer belongs to the trunk as long as its input is
    the very output of the layer before. So what a ``forward`` does besides calling its layers ends the trunk, and so
    does the global pooling in front of the head: its output no longer follows the size of the picture. Layers without
    weights at the end that shrink the map once more (VGG's last pool) serve only the head and are left out.

    Args:
        classifier: put on the meta device, so that nothing is computed.
        in_channels: of the pictures that it takes.

    Returns:
        The trunk; empty when the first layer already gives no feature map (N, C, H, W).
    """
    classifier.eval()
    leaves = list(_leaves(classifier))
    small, large = (_outputs(classifier, leaves, side, in_channels) for side in _SIDES)
    trunk = []
    for a, b in zip(small, large, strict=False):
        if a.name != b.name or a.shape[1] != b.shape[1] or a.shape[2:] == b.shape[2:]:
            break
        trunk.append(TrunkLayer(a.name, a.shape[1], 2 ** round(math.log2(_SIDES[0] / a.shape[2]))))
    weighted = [any(True for _ in classifier.get_submodule(layer.name).parameters()) for layer in trunk]
    while trunk and not weighted[len(trunk) - 1]:
        last_weighted = max((i for i, has in enumerate(weighted) if has), default=-1)
        if trunk[-1].reduction == trunk[last_weighted].reduction:
            break
        trunk.pop()
    return trunk


class _Output(NamedTuple):
    name: str
    shape: tuple[int, ...]


def _leaves(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Named children in order, where a plain sequence stands for its own children."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and type(child).forward is nn.Sequential.forward:
            yield from _leaves(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _outputs(classifier: nn.Module, leaves: list[tuple[str, nn.Module]], side: int, channels: int) -> list[_Output]:
    """Outputs of the unbroken chain of layers that starts at the picture."""
    seen: dict[str, tuple[Any, Any]] = {}
    handles = []
    for name, module in leaves:

        def note(_: nn.Module, inputs: tuple[Any, ...], output: Any, name: str = name) -> None:
            seen[name] = (inputs[0], output)

        handles.append(module.register_forward_hook(note))
    probe = torch.empty(1, channels, side, side, device="meta")
    try:
        with torch.no_grad():
            classifier(probe)
    finally:
        for handle in handles:
            handle.remove()
    chain, last = [], probe
    for name, _ in leaves:
        if name not in seen:  # an auxiliary head that only runs in training
            continue
        given, output = seen[name]
        if given is not last or not isinstance(output, Tensor) or output.ndim != 4:
            break
        chain.append(_Output(name, tuple(output.shape)))
        last = output
    return chain
