"""Finds the feature trunk of a classifier by running it: which layers follow one another, and at what resolution."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_SIDES = (224, 256)  # all convolutional classifiers take both, and they differ at every resolution down to 1/32


class FeatureLayer(NamedTuple):
    """One layer of the trunk.

    Attributes:
        name: of the module inside the classifier, such as ``"features.3"``.
        channels: of its output.
        reduction: side of the image over side of the output, rounded to a power of two.
    """

    name: str
    channels: int
    reduction: int


def find_feature_layers(classifier: nn.Module, *, in_channels: int = 3) -> list[FeatureLayer]:
    """The layers from the image to the last feature map, in the order in which they run.

    Two probes of different size go through the classifier, and a layer belongs to the trunk as long as its input is
    the very output of the layer before. The trunk so ends at the global pooling, whose output no longer follows the
    size of the image, or where ``forward`` does something by itself; the head, the child of the classifier in which
    that happens, is no part of it. Layers without weights at the end that shrink the map once more (VGG's last pool)
    serve only the head and are left out too.

    Args:
        classifier: is left as it was. The probes have shapes but no numbers, so nothing is computed.
        in_channels: of the images that it takes.

    Returns:
        The trunk; empty when the first layer already gives no feature map (N, C, H, W).
    """
    leaves = dict(_leaves(classifier))
    small, large = (_follow(classifier, leaves, side, in_channels) for side in _SIDES)
    trunk = []
    for (name, shape), (_, larger) in zip(small.items(), large.items(), strict=False):
        if shape[1] != larger[1] or shape[2:] == larger[2:]:
            break
        trunk.append(FeatureLayer(name, shape[1], 2 ** round(math.log2(_SIDES[0] / shape[2]))))
    names = list(leaves)
    if trunk and trunk[-1].name != names[-1]:
        head = _child(names[names.index(trunk[-1].name) + 1])
        trunk = [layer for layer in trunk if _child(layer.name) != head]
    return _without_last_pool(trunk, leaves)


def _leaves(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Named children in order, where a plain sequence stands for its own children."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and type(child).forward is nn.Sequential.forward:
            yield from _leaves(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _child(name: str) -> str:
    return name.partition(".")[0]


def _follow(classifier: nn.Module, leaves: dict[str, nn.Module], side: int, channels: int) -> dict[str, torch.Size]:
    """Output shapes of the unbroken chain of layers that starts at the image."""
    seen: dict[str, tuple[Any, Any]] = {}

    def watch(name: str) -> Any:
        def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            seen[name] = (inputs[0], output)

        return note

    probe = torch.empty(1, channels, side, side, device="meta")
    shapes_only = {n: t.to("meta") for n, t in chain(classifier.named_parameters(), classifier.named_buffers())}
    training = classifier.training
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves.items()]
    try:
        with torch.no_grad():
            torch.func.functional_call(classifier.eval(), shapes_only, (probe,))
    finally:
        classifier.train(training)
        for handle in handles:
            handle.remove()
    shapes, last = {}, probe
    for name in leaves:
        if name not in seen:  # an auxiliary head that only runs in training
            continue
        given, output = seen[name]
        if given is not last or not isinstance(output, Tensor) or output.ndim != 4:
            break
        shapes[name], last = output.shape, output
    return shapes


def _without_last_pool(trunk: list[FeatureLayer], leaves: dict[str, nn.Module]) -> list[FeatureLayer]:
    weighted = [i for i, layer in enumerate(trunk) if any(True for _ in leaves[layer.name].parameters())]
    if not weighted:
        return []
    end = weighted[-1]
    return [layer for i, layer in enumerate(trunk) if i <= end or layer.reduction == trunk[end].reduction]
