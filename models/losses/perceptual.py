"""A loss that sees: images compared by what a VGG makes of them (Johnson et al. 2016)."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.losses.pixel import l1
from models.losses.vgg import VggFeatures, VggName
from models.weights.pretrained import WeightsError

_log = logging.getLogger("darkroom")


class PerceptualLoss(nn.Module):
    """L1 of pixels plus L1 of VGG activations, in the form of fast.ai's lesson 14.

    Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", compare one layer by
    squares; the lesson compares three by absolute values and keeps a little of the pixels. Its pixels are divided by
    ImageNet's standard deviation and count about 4.4 times as much as here.

    The VGG is loaded by ``load()``, at the latest by the first forward pass: to use a trained network it is not needed.

    Args:
        name: of torchvision's VGG.
        layers: places in its ``features``; the default is just before vgg16_bn's first three max-pools.
        layer_weights: of each layer's part.
        pixel_weight: of the pixels' part.
        weights: of the VGG: ``"imagenet"``, the path of a file, or ``"none"`` for random ones. ``"auto"`` is ImageNet's
            if they can be had; else the loss is plain L1 of pixels, which a warning says: random features have to be
            asked for.

    Raises:
        ValueError: if the weights are not one for each layer, or negative.
    """

    def __init__(
        self,
        *,
        name: VggName = "vgg16_bn",
        layers: Sequence[int] = (5, 12, 22),
        layer_weights: Sequence[float] = (0.2, 0.7, 0.1),
        pixel_weight: float = 0.01,
        weights: str = "auto",
    ) -> None:
        super().__init__()
        if len(layers) != len(layer_weights):
            raise ValueError(f"layer_weights has {len(layer_weights)} numbers for {len(layers)} layers: one for each")
        if min(*layer_weights, pixel_weight) < 0:
            raise ValueError(f"no weight may be negative: {pixel_weight} for pixels, {list(layer_weights)} for layers")
        self.name, self.layers, self.weights = name, tuple(layers), weights
        self.layer_weights, self.pixel_weight = tuple(layer_weights), pixel_weight
        self.features: VggFeatures | None = None
        self.weights_origin = "not loaded"

    def load(self) -> None:
        """Loads the VGG, once.

        Raises:
            ValueError: unknown name, or layers that it does not have.
            WeightsError: weights that cannot be had or do not fit.
        """
        if self.weights_origin != "not loaded":
            return
        wanted = "imagenet" if self.weights == "auto" else self.weights
        try:
            self.features = VggFeatures(name=self.name, layers=self.layers, weights=wanted)
            self.weights_origin = self.features.weights_origin
        except WeightsError as error:
            if self.weights != "auto":
                raise
            _log.warning("TRAINING BY PIXELS ALONE, WITHOUT A LOSS THAT SEES, which gives softer images: %s", error)
            self.pixel_weight = 1.0
            self.weights_origin = f"none (auto found no weights for {self.name}): L1 of pixels alone"

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images.

        Args:
            preds: (N, 3, H, W), RGB, about [0, 1]; gradients flow to it.
            target: the same shape; none flow to it.

        Returns:
            ``{"pixel": ..., "vgg5": ..., ...}``, float32 scalars, each already times its weight; the loss is their sum.
        """
        if self.weights_origin == "not loaded":
            self.load()
            self.to(preds.device)
        parts = {"pixel": self.pixel_weight * l1(preds, target.detach())}
        if self.features is None:
            return parts
        with torch.no_grad():
            wanted = self.features(target)
        found = self.features(preds)
        for layer, weight, ours, theirs in zip(self.layers, self.layer_weights, found, wanted, strict=True):
            parts[f"vgg{layer}"] = weight * l1(ours, theirs)
        return parts
