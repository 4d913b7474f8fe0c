"""Convolutional classifiers of torchvision as encoders for segmentation."""

import difflib
from itertools import groupby

import torchvision.models
from torch import Tensor, nn

from models.checkpointing import apply_layer
from models.normalize import Normalize
from models.segmentation.feature_extraction import FeatureLayer, find_feature_layers
from models.strided_depthwise import speed_up_depthwise_
from models.weights.inflate import inflate_channels
from models.weights.pretrained import load_pretrained_


class Encoder(nn.Module):
    """The feature layers of a torchvision classifier, divided into stages of equal resolution, without its head.

    The stages are found by a forward pass (``models/segmentation/feature_extraction.py``). Each ends in the last
    feature map of its resolution; for ResNets these are relu and layer1 to layer4.

    Args:
        name: classifier as in ``torchvision.models.get_model``.
        in_channels: channels of the images; see ``inflate_channels`` for numbers other than 3.
        pretrained: ``"none"``, ``"auto"``, ``"imagenet"`` or the path of a file (``models/weights/pretrained.py``).
        checkpointing: whether the backward pass computes the stages again, see ``models/checkpointing.py``.

    Attributes:
        channels: channels of the feature map of each stage, from input to output.
        reductions: side of the image over side of the feature map, a power of two.
        least_size: smallest side of an image in pixels.
        weights_origin: where the weights came from, for reports.

    Raises:
        ValueError: unknown ``name``, or a network that is no chain of layers of decreasing resolution.
        WeightsError: the weights are not available or do not fit.
    """

    def __init__(
        self, *, name: str, in_channels: int = 3, pretrained: str = "auto", checkpointing: bool = False
    ) -> None:
        super().__init__()
        if in_channels < 1:
            raise ValueError(f"in_channels={in_channels}: an image has at least one channel")
        classifier = _build(name)
        speed_up_depthwise_(classifier)
        feature_layers = _feature_layers(classifier, name)
        prefixes = tuple(layer.name + "." for layer in feature_layers)
        tensors = [key for key in classifier.state_dict() if key.startswith(prefixes)]
        self.weights_origin = load_pretrained_(classifier, name=name, tensors=tensors, pretrained=pretrained)
        if in_channels != 3:
            _adapt_first_conv_(classifier, in_channels)

        mean, std = _statistics(classifier, name)
        self.in_channels, self.checkpointing = in_channels, checkpointing
        self.normalize = Normalize(mean=mean, std=std, channels=in_channels)
        self.stages = nn.ModuleList()
        channels, reductions = [], []
        self._layer_names: dict[str, str] = {}
        for reduction, group in groupby(feature_layers, key=lambda layer: layer.reduction):
            layers = list(group)
            stage = len(self.stages)
            self._layer_names |= {layer.name: f"stages.{stage}.{index}" for index, layer in enumerate(layers)}
            self.stages.append(nn.Sequential(*[classifier.get_submodule(layer.name) for layer in layers]))
            channels.append(layers[-1].channels)
            reductions.append(reduction)
        self.channels, self.reductions = tuple(channels), tuple(reductions)
        self.least_size = reductions[-1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns the last feature map of each resolution.

        Args:
            images: (N, in_channels, H, W) in [0, 1], each side at least ``least_size``.

        Returns:
            One map (N, channels[i], about H / reductions[i], about W / reductions[i]) per stage.

        Raises:
            ValueError: images of another shape, or too small.
        """
        self._check(images)
        x = self.normalize(images)
        features = []
        for stage in self.stages:
            x = apply_layer(stage, x, checkpointing=self.checkpointing)
            features.append(x)
        return features

    def layer_groups(self) -> list[list[nn.Module]]:
        """Two groups: the stages down to 1/8 of the image's side (ResNet: up to layer2), and the deeper ones."""
        split = sum(reduction <= 8 for reduction in self.reductions)
        return [[self.normalize, *self.stages[:split]], list(self.stages[split:])]

    def torchvision_names(self) -> dict[str, str]:
        """Names of this encoder's tensors by their names in torchvision's classifier."""
        own = {name: layer for layer, name in self._layer_names.items()}
        names = {}
        for name in self.stages.state_dict(prefix="stages."):
            prefix = ".".join(name.split(".")[:3])  # stages.<stage>.<layer>
            names[own[prefix] + name.removeprefix(prefix)] = name
        return names

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ValueError(f"the net takes images (N, {self.in_channels}, H, W), not {tuple(images.shape)}")
        height, width = images.shape[2:]
        if height < self.least_size or width < self.least_size:
            raise ValueError(
                f"an image of {height} x {width} pixels is too small for this net: "
                f"each side needs at least {self.least_size}"
            )


def _build(name: str) -> nn.Module:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"torchvision has no classifier named {name!r}{hint}")
    # By default these two draw their initial weights with SciPy, which takes minutes.
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    classifier: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    return classifier


def _feature_layers(classifier: nn.Module, name: str) -> list[FeatureLayer]:
    try:
        layers = find_feature_layers(classifier)
    except Exception as error:  # a net for images of one size may raise anything
        raise ValueError(f"{name} cannot be an encoder: it does not take images of any size ({error})") from error
    if len({layer.reduction for layer in layers}) < 3:
        raise ValueError(f"{name} cannot be an encoder: it is no chain of layers of falling resolution")
    return layers


def _statistics(classifier: nn.Module, name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation with which torchvision's weights were trained."""
    if hasattr(classifier, "transform_input"):  # GoogLeNet and Inception scale to [-1, 1] in their forward pass
        return [0.5] * 3, [0.5] * 3
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return list(transforms.mean), list(transforms.std)


def _adapt_first_conv_(classifier: nn.Module, in_channels: int) -> None:
    """Adapts the first convolution to ``in_channels``, in place."""
    conv = next(module for module in classifier.modules() if isinstance(module, nn.Conv2d))
    weight = inflate_channels(conv.weight.detach(), in_channels)
    conv.in_channels, conv.weight = in_channels, nn.Parameter(weight)
