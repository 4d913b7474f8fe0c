"""Perceptual loss (Johnson et al. 2016): L1 between VGG features."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.losses.pixel import l1
from models.losses.vgg import VggFeatures, VggName
from models.weights.pretrained import WeightsError

_log = logging.getLogger("darkroom")


class PerceptualLoss(nn.Module):
    """L1 of pixels plus L1 of VGG features, as in fast.ai's lesson 14.

    Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", take the squared error
    of one layer; the lesson takes the absolute error of three layers and adds a small pixel loss. Its pixels are
    divided by ImageNet's standard deviation, so its pixel loss is about 4.4 times as large as here.

    ``load()``, or else the first forward pass, loads the VGG; inference with a trained network does not need it.

    Args:
        name: VGG of torchvision.
        layers: indices into its ``features``; the default is just before the first three max-pools of vgg16_bn.
        layer_weights: weight of each layer's loss.
        pixel_weight: weight of the pixel loss.
        weights: of the VGG: ``"imagenet"``, the path of a file, or ``"none"`` for random ones. ``"auto"`` takes
            ImageNet's if they are available; otherwise the loss is L1 of pixels alone, with a warning.

    Raises:
        ValueError: if ``layer_weights`` does not match ``layers``, or a weight is negative.
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
        """Loads the VGG once.

        Raises:
            ValueError: unknown name, or layers that it does not have.
            WeightsError: the weights are not available or do not fit.
        """
        if self.weights_origin != "not loaded":
            return
        requested = "imagenet" if self.weights == "auto" else self.weights
        try:
            self.features = VggFeatures(name=self.name, layers=self.layers, weights=requested)
            self.weights_origin = self.features.weights_origin
        except WeightsError as error:
            if self.weights != "auto":
                raise
            _log.warning("TRAINING WITH A PIXEL LOSS ALONE, WITHOUT PERCEPTUAL LOSS; images will be softer: %s", error)
            self.pixel_weight = 1.0
            self.weights_origin = f"none (auto found no weights for {self.name}): L1 of pixels alone"

    def forward(self, preds: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Compares images.

        Args:
            preds: (N, 3, H, W), RGB, about [0, 1]; receives gradients.
            target: same shape as ``preds``; receives none.

        Returns:
            ``{"pixel": ..., "vgg5": ..., ...}``, float32 scalars multiplied by their weights; their sum is the loss.
        """
        if self.weights_origin == "not loaded":
            self.load()
            self.to(preds.device)
        losses = {"pixel": self.pixel_weight * l1(preds, target.detach())}
        if self.features is None:
            return losses
        with torch.no_grad():
            target_features = self.features(target)
        pred_features = self.features(preds)
        for layer, weight, a, b in zip(self.layers, self.layer_weights, pred_features, target_features, strict=True):
            losses[f"vgg{layer}"] = weight * l1(a, b)
        return losses
