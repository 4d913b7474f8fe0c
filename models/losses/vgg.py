"""What a frozen VGG sees in images: the measure of perceptual losses."""

import logging
import zlib
from collections.abc import Callable, Sequence
from typing import Literal, Self, get_args

import torch
import torchvision.models
from torch import Tensor, nn

from models.losses.random_filters import draw_random_filters_
from models.normalize import Normalize
from models.weights.pretrained import WeightsError, load_pretrained_

_log = logging.getLogger("darkroom")

VggName = Literal["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

#: Of the images that torchvision's VGGs were trained with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """Activations of some layers of a VGG (Simonyan and Zisserman 2014), by which images are compared.

    The network is a measure and no part of what is trained: it stands outside of ``modules()``. So it stays frozen
    and in eval whatever ``train()`` and ``requires_grad_()`` say, is in no state dict, checkpoint, optimiser or
    moving average, and DDP does not send it around. It follows ``to()``, ``cuda()`` and the like. Gradients flow
    through it to the images. Only the layers up to the last one wanted are built and run.

    Args:
        name: of torchvision's VGG.
        layers: places in its ``features`` whose output is wanted, rising. The activations just before the first
            four max-pools are 3, 8, 15, 22 in vgg16, 5, 12, 22, 32 in vgg16_bn and 3, 8, 17, 26 in vgg19.
        weights: ``"imagenet"``, the path of a file (``models/weights/pretrained.py``), or ``"none"`` for random ones
            (``models/losses/random_filters.py``); ``"auto"`` is ImageNet's if they can be had,
            else random ones and a warning.
        seed: of random weights: they are in no checkpoint, so they have to be the same at every start.

    Attributes:
        weights_origin: where the weights came from, in words.
        random: whether they are random.
        checksum: 32 bits that tell whether two machines see with the same weights.

    Raises:
        ValueError: unknown name, or layers that it does not have.
        WeightsError: weights that cannot be had or do not fit.
    """

    def __init__(
        self, *, name: VggName = "vgg16_bn", layers: Sequence[int] = (5, 12, 22), weights: str = "auto", seed: int = 0
    ) -> None:
        super().__init__()
        classifier = _without_weights(name)
        self.layers = _checked(layers, name, classifier.features)
        features = classifier.features[: self.layers[-1] + 1]
        features.to_empty(device="cpu")
        for layer in features:
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
        self.weights_origin, self.random = _load_(classifier, self.layers[-1], name=name, weights=weights)
        self.least_size = 2 ** sum(isinstance(layer, nn.MaxPool2d) for layer in features)
        if self.random:
            features = draw_random_filters_(features, seed)
        # Random weights may differ in their last bits between machines: what they are drawn by is what counts.
        drawn = f"{name} {self.layers} {seed}"
        self.checksum = zlib.crc32(drawn.encode()) if self.random else _checksum(features)
        _keep_outputs_(features, self.layers)
        # In a list, so that nn.Module does not take it for a part of this module.
        self._held = [nn.Sequential(Normalize(mean=_MEAN, std=_STD), *features).eval().requires_grad_(False)]

    def forward(self, images: Tensor, *, up_to: int | None = None) -> list[Tensor]:
        """Looks at images.

        Args:
            images: (N, 3, H, W), RGB in [0, 1], each side at least ``least_size``.
            up_to: the last layer wanted this time; nothing behind it is run.

        Returns:
            For each of ``layers`` its output (N, C, about H / 2^k, about W / 2^k) behind k max-pools; in the precision
            of autocast, where that is on.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.least_size:
            raise ValueError(
                f"images must be (N, 3, H, W) with sides of at least {self.least_size}, not {tuple(images.shape)}"
            )
        normalize, *features = self._held[0]
        x = normalize(images)
        found = []
        for number, layer in enumerate(features[: None if up_to is None else up_to + 1]):
            x = layer(x)
            if number in self.layers:
                found.append(x)
        return found

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What ``to()``, ``cuda()``, ``float()`` and the like do to this module and all in it."""
        for held in self._held:
            held._apply(fn, recurse)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def layers_before_pools(name: VggName) -> tuple[int, ...]:
    """Places of the activations just before the five max-pools.

    >>> layers_before_pools("vgg16_bn"), layers_before_pools("vgg16")
    ((5, 12, 22, 32, 42), (3, 8, 15, 22, 29))
    """
    features = _without_weights(name).features
    return tuple(number - 1 for number, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d))


def channels_of(name: VggName, layers: Sequence[int]) -> list[int]:
    """How many channels the outputs of ``layers`` have.

    Raises:
        ValueError: layers that it does not have.

    >>> channels_of("vgg16", (3, 8, 9, 15))
    [64, 128, 128, 256]
    """
    features = _without_weights(name).features
    _checked(layers, name, features)
    return [[x.out_channels for x in features[: n + 1] if isinstance(x, nn.Conv2d)][-1] for n in layers]


def _without_weights(name: VggName) -> torchvision.models.VGG:
    with torch.device("meta"):  # the head alone would take 0.5 GB
        return _build(name)


def _checked(layers: Sequence[int], name: str, features: nn.Sequential) -> tuple[int, ...]:
    given = tuple(layers)
    if not given or given[0] < 0 or list(given) != sorted(set(given)):
        raise ValueError(f"layers={list(given)}: name at least one, from 0 on, in rising order")
    if given[-1] >= len(features):
        raise ValueError(f"layers={list(given)}: the features of {name} are 0 to {len(features) - 1}")
    return given


def _build(name: str) -> torchvision.models.VGG:
    if name not in get_args(VggName):
        raise ValueError(f"{name!r} is no VGG of torchvision: {', '.join(get_args(VggName))}")
    vgg: torchvision.models.VGG = torchvision.models.get_model(name, weights=None)
    return vgg


def _load_(classifier: nn.Module, last: int, *, name: str, weights: str) -> tuple[str, bool]:
    """Loads weights into the layers up to ``last``, in place; says where from, and whether they are random."""
    places = {f"features.{number}" for number in range(last + 1)}
    tensors = [key for key in classifier.state_dict() if key.rpartition(".")[0] in places]
    try:
        wanted = "imagenet" if weights == "auto" else weights
        option = "--model.loss.weights FILE"
        origin = load_pretrained_(classifier, name=name, trunk=tensors, pretrained=wanted, option=option)
        return origin, wanted == "none"
    except WeightsError as error:
        if weights != "auto":
            raise
        _log.warning("IMAGES ARE COMPARED BY RANDOM FEATURES, which costs quality: %s", error)
        return f"random weights (auto found none for {name})", True


def _checksum(features: nn.Sequential) -> int:
    crc = 0
    for tensor in features.state_dict().values():
        crc = zlib.crc32(tensor.numpy().tobytes(), crc)
    return crc


def _keep_outputs_(features: nn.Sequential, layers: Sequence[int]) -> None:
    """Keeps each ReLU that follows a wanted layer from overwriting its output, in place."""
    for number in layers:
        if number + 1 < len(features) and isinstance(after := features[number + 1], nn.ReLU):
            after.inplace = False
