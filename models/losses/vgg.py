"""Features of a frozen VGG, which perceptual losses compare."""

import logging
import zlib
from collections.abc import Callable, Sequence
from typing import Literal, Self, get_args

import torch
import torchvision.models
from torch import Tensor, nn

from models.losses.random_filters import draw_random_filters_
from models.losses.vgg_layers import arrange_, fold_batch_norm, in_precision
from models.normalize import Normalize
from models.weights.pretrained import WeightsError, load_pretrained_

_log = logging.getLogger("darkroom")

VggName = Literal["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

#: Normalization with which torchvision's VGGs were trained.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """Activations of selected layers of a VGG (Simonyan and Zisserman 2014).

    The VGG is not registered as a submodule. It therefore stays frozen and in eval mode whatever ``train()`` and
    ``requires_grad_()`` do, is in no state dict, optimizer or moving average, and DDP does not broadcast it. It follows
    ``to()``, ``cuda()`` and the like. Gradients flow through it to the images. Layers after the last requested one are
    neither built nor run. Batch norms are folded into the convolutions, and for autocast the weights are converted once
    (``models/losses/vgg_layers.py``).

    Args:
        name: VGG of torchvision.
        layers: ascending indices into its ``features``. The activations just before the first four max-pools are
            3, 8, 15, 22 in vgg16, 5, 12, 22, 32 in vgg16_bn and 3, 8, 17, 26 in vgg19.
        weights: ``"imagenet"``, the path of a file (``models/weights/pretrained.py``), or ``"none"`` for random ones
            (``models/losses/random_filters.py``); ``"auto"`` takes ImageNet's if they are available, otherwise random
            ones with a warning.
        seed: of random weights. They are not saved, so they must be the same at every start.
        option: option with which a user names the file, for the error message.

    Attributes:
        weights_origin: where the weights came from, for reports.
        random: whether the weights are random.
        checksum: CRC-32 of the weights, to detect a machine with other weights.
        least_size: smallest side of an image in pixels.

    Raises:
        ValueError: unknown name, or layers that it does not have.
        WeightsError: the weights are not available or do not fit.
    """

    def __init__(
        self,
        *,
        name: VggName = "vgg16_bn",
        layers: Sequence[int] = (5, 12, 22),
        weights: str = "auto",
        seed: int = 0,
        option: str = "--model.loss.weights FILE",
    ) -> None:
        super().__init__()
        classifier = _without_weights(name)
        self.layers = _checked(layers, name, classifier.features)
        features = classifier.features[: self.layers[-1] + 1]
        features.to_empty(device="cpu")
        for layer in features:
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
        self.weights_origin, self.random = _load_(
            classifier, self.layers[-1], name=name, weights=weights, option=option
        )
        self.least_size = 2 ** sum(isinstance(layer, nn.MaxPool2d) for layer in features)
        if self.random:
            features = draw_random_filters_(features, seed)
        # Random weights may differ in their last bits between machines; their description does not.
        description = f"{name} {self.layers} {seed}"
        self.checksum = zlib.crc32(description.encode()) if self.random else _checksum(features)
        features = fold_batch_norm(features.eval().requires_grad_(False), self.layers)
        _keep_outputs_(features, self.layers)
        arrange_(features)
        # In a list, so that nn.Module does not register it.
        self._held = [nn.Sequential(Normalize(mean=_MEAN, std=_STD), *features).eval().requires_grad_(False)]
        self._autocast: dict[torch.dtype, nn.Sequential] = {}

    def forward(self, images: Tensor, *, up_to: int | None = None) -> list[Tensor]:
        """Returns the features of images.

        Args:
            images: (N, 3, H, W), RGB in [0, 1], each side at least ``least_size``.
            up_to: last layer to run; ``None`` runs all.

        Returns:
            For each of ``layers`` up to ``up_to`` its output (N, C, about H / 2^k, about W / 2^k) after k max-pools,
            in the precision of autocast if that is enabled.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.least_size:
            raise ValueError(
                f"images must be (N, 3, H, W) with sides of at least {self.least_size}, not {tuple(images.shape)}"
            )
        x = self._held[0][0](images)
        outputs = []
        for number, layer in enumerate(self._layers(x.device)[: None if up_to is None else up_to + 1]):
            x = layer(x)
            if number in self.layers:
                outputs.append(x)
        return outputs

    def _layers(self, device: torch.device) -> nn.Sequential:
        """The layers after the normalization, in the precision of autocast if that is enabled."""
        layers = self._held[0][1:]
        if not torch.amp.is_autocast_available(device.type) or not torch.is_autocast_enabled(device.type):
            return layers
        dtype = torch.get_autocast_dtype(device.type)
        if dtype not in self._autocast:
            self._autocast[dtype] = in_precision(layers, dtype)
        return self._autocast[dtype]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Applies ``to()``, ``cuda()``, ``float()`` and the like to the unregistered VGG too."""
        for held in self._held:
            held._apply(fn, recurse)
            arrange_(held[1:])
        self._autocast.clear()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def layers_before_pools(name: VggName) -> tuple[int, ...]:
    """Returns the indices of the activations just before the five max-pools.

    >>> layers_before_pools("vgg16_bn"), layers_before_pools("vgg16")
    ((5, 12, 22, 32, 42), (3, 8, 15, 22, 29))
    """
    features = _without_weights(name).features
    return tuple(number - 1 for number, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d))


def channels_of(name: VggName, layers: Sequence[int]) -> list[int]:
    """Returns the number of channels of each of ``layers``.

    Raises:
        ValueError: layers that it does not have.

    >>> channels_of("vgg16", (3, 8, 9, 15))
    [64, 128, 128, 256]
    """
    features = _without_weights(name).features
    _checked(layers, name, features)
    return [[x.out_channels for x in features[: n + 1] if isinstance(x, nn.Conv2d)][-1] for n in layers]


def _without_weights(name: VggName) -> torchvision.models.VGG:
    with torch.device("meta"):  # the head alone takes 0.5 GB
        return _build(name)


def _checked(layers: Sequence[int], name: str, features: nn.Sequential) -> tuple[int, ...]:
    given = tuple(layers)
    if not given or given[0] < 0 or list(given) != sorted(set(given)):
        raise ValueError(f"layers={list(given)}: name at least one, from 0 on, in ascending order")
    if given[-1] >= len(features):
        raise ValueError(f"layers={list(given)}: the features of {name} are 0 to {len(features) - 1}")
    return given


def _build(name: str) -> torchvision.models.VGG:
    if name not in get_args(VggName):
        raise ValueError(f"{name!r} is no VGG of torchvision: {', '.join(get_args(VggName))}")
    vgg: torchvision.models.VGG = torchvision.models.get_model(name, weights=None)
    return vgg


def _load_(classifier: nn.Module, last: int, *, name: str, weights: str, option: str) -> tuple[str, bool]:
    """Loads weights into the layers up to ``last``, in place; returns their origin and whether they are random."""
    prefixes = {f"features.{number}" for number in range(last + 1)}
    tensors = [key for key in classifier.state_dict() if key.rpartition(".")[0] in prefixes]
    try:
        requested = "imagenet" if weights == "auto" else weights
        origin = load_pretrained_(classifier, name=name, tensors=tensors, pretrained=requested, option=option)
        return origin, requested == "none"
    except WeightsError as error:
        if weights != "auto":
            raise
        _log.warning("THE LOSS USES RANDOM FEATURES, which lowers quality: %s", error)
        return f"random weights (auto found none for {name})", True


def _checksum(features: nn.Sequential) -> int:
    crc = 0
    for tensor in features.state_dict().values():
        crc = zlib.crc32(tensor.numpy().tobytes(), crc)
    return crc


def _keep_outputs_(features: nn.Sequential, layers: Sequence[int]) -> None:
    """Makes each ReLU that follows one of ``layers`` out-of-place, so that it does not overwrite its output."""
    for number in layers:
        if number + 1 < len(features) and isinstance(after := features[number + 1], nn.ReLU):
            after.inplace = False
