"""Finds the feature layers of a classifier, and their resolution, by a forward pass."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_SIDES = (224, 256)  # accepted by all convolutional classifiers, and different at each resolution down to 1/32


class FeatureLayer(NamedTuple):
    """One layer before the head.

    Attributes:
        name: of the module in the classifier, such as ``"features.3"``.
        channels: of its output.
        reduction: side of the image over side of the output, rounded to a power of two.
    """

    name: str
    channels: int
    reduction: int


def find_feature_layers(classifier: nn.Module, *, in_channels: int = 3) -> list[FeatureLayer]:
    """Returns the layers from the image to the last feature map, in the order in which they run.

    Two inputs of different size on the meta device pass through the classifier. A layer is a feature layer as long as
    its input is the output of the layer before. The chain ends at the global pooling, whose output size does not
    depend on the image, or where ``forward`` computes something outside a layer; the child of the classifier in which
    it ends is the head and left out. Trailing layers without weights that reduce the resolution (VGG's last pool)
    belong to the head too.

    Args:
        classifier: left unchanged; on the meta device nothing is computed.
        in_channels: channels of the images.

    Returns:
        The feature layers; empty if the first layer returns no feature map (N, C, H, W).
    """
    leaves = dict(_leaves(classifier))
    small, large = (_chain_shapes(classifier, leaves, side, in_channels) for side in _SIDES)
    layers = []
    for (name, shape), (_, larger) in zip(small.items(), large.items(), strict=False):
        if shape[1] != larger[1] or shape[2:] == larger[2:]:
            break
        layers.append(FeatureLayer(name, shape[1], 2 ** round(math.log2(_SIDES[0] / shape[2]))))
    names = list(leaves)
    if layers and layers[-1].name != names[-1]:
        head = _child(names[names.index(layers[-1].name) + 1])
        layers = [layer for layer in layers if _child(layer.name) != head]
    return _without_last_pool(layers, leaves)


def _leaves(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Named children in order; an ``nn.Sequential`` is replaced by its children."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and type(child).forward is nn.Sequential.forward:
            yield from _leaves(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _child(name: str) -> str:
    return name.partition(".")[0]


def _chain_shapes(
    classifier: nn.Module, leaves: dict[str, nn.Module], side: int, channels: int
) -> dict[str, torch.Size]:
    """Output shapes of the chain of layers that starts at the image."""
    calls: dict[str, tuple[Any, Any]] = {}  # input and output by layer

    def recorder(name: str) -> Any:
        def record(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            calls[name] = (inputs[0], output)

        return record

    probe = torch.empty(1, channels, side, side, device="meta")
    meta_tensors = {n: t.to("meta") for n, t in chain(classifier.named_parameters(), classifier.named_buffers())}
    training = classifier.training
    handles = [module.register_forward_hook(recorder(name)) for name, module in leaves.items()]
    try:
        with torch.no_grad():
            torch.func.functional_call(classifier.eval(), meta_tensors, (probe,))
    finally:
        classifier.train(training)
        for handle in handles:
            handle.remove()
    shapes, last = {}, probe
    for name in leaves:
        if name not in calls:  # an auxiliary head, which runs in training only
            continue
        layer_input, output = calls[name]
        if layer_input is not last or not isinstance(output, Tensor) or output.ndim != 4:
            break
        shapes[name], last = output.shape, output
    return shapes


def _without_last_pool(layers: list[FeatureLayer], leaves: dict[str, nn.Module]) -> list[FeatureLayer]:
    weighted = [i for i, layer in enumerate(layers) if any(True for _ in leaves[layer.name].parameters())]
    if not weighted:
        return []
    end = weighted[-1]
    return [layer for i, layer in enumerate(layers) if i <= end or layer.reduction == layers[end].reduction]
