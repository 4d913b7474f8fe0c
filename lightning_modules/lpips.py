"""LPIPS, a distance of images that agrees with people better than PSNR (Zhang et al. 2018)."""

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
import torchmetrics
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from models.losses.vgg import VggFeatures, layers_before_pools
from models.weights.pretrained import WeightsError, imagenet_file

_log = logging.getLogger("darkroom")

#: Smallest side at which AlexNet's third pool still has a pixel.
_MIN_SIDE = 63
#: Where torchmetrics keeps the linear weights of LPIPS.
_LINEAR = Path(torchmetrics.__file__).parent / "functional/image/lpips_models/vgg.pth"


class Lpips:
    """Learned perceptual image patch similarity, with AlexNet or with VGG16.

    It is no submodule, so it is in no state dict. Distances of the two networks are not comparable.

    Args:
        weights: ``"auto"`` takes torchmetrics' metric with AlexNet's ImageNet weights from torch hub's cache or
            downloads them (233 MB), and logs one warning if they are not available; ``"none"`` disables the metric;
            otherwise the path of a file with VGG16's weights (``VggLpips``).
    """

    def __init__(self, weights: str) -> None:
        self.weights = weights
        self._distance: AlexNetLpips | VggLpips | None = None

    def load(self, device: torch.device) -> None:
        """Loads the network once, if its weights are available, and moves it to ``device``.

        Raises:
            WeightsError: if the file of VGG16 is missing or does not fit.
        """
        if self.weights == "auto" and self._distance is None:
            try:
                imagenet_file("alexnet")
            except WeightsError as error:
                _log.warning("LPIPS is not measured: %s", error)
                self.weights = "none"
                return
            self._distance = AlexNetLpips()
        elif self.weights != "none" and self._distance is None:
            self._distance = VggLpips(self.weights)
        if self._distance is not None:
            self._distance.to(device)

    @torch.no_grad()
    def __call__(self, preds: Tensor, target: Tensor) -> float | None:
        """Compares one image with its target.

        Args:
            preds: (1, 3, H, W), RGB, about [0, 1].
            target: same shape as ``preds``.

        Returns:
            The distance, 0 for equal images; ``None`` without weights or if the image is too small for AlexNet.
        """
        if self._distance is None or min(target.shape[2:]) < _MIN_SIDE:
            return None
        return self._distance(preds.float().clamp(0, 1), target.float().clamp(0, 1))


class AlexNetLpips:
    """The metric of torchmetrics with AlexNet."""

    def __init__(self) -> None:
        self._metric = LearnedPerceptualImagePatchSimilarity("alex", normalize=True)

    def to(self, device: torch.device) -> None:
        """Moves the network."""
        self._metric.to(device)

    def __call__(self, preds: Tensor, target: Tensor) -> float:
        """Distance of two images (1, 3, H, W) in [0, 1]."""
        distance = float(self._metric(preds, target))
        self._metric.reset()  # the metric accumulates all its values
        return distance


class VggLpips:
    """LPIPS with VGG16 of a file and torchmetrics' linear weights for VGG16.

    The linear weights were fitted to torchvision's VGG16. With other ImageNet weights the values differ from published
    ones, but still compare images.

    Args:
        weights: file of VGG16's weights, in torchvision's names.

    Raises:
        WeightsError: if it is missing or does not fit.
    """

    def __init__(self, weights: str) -> None:
        layers = layers_before_pools("vgg16")
        self._features = VggFeatures(name="vgg16", layers=layers, weights=weights, option="--model.lpips FILE")
        state = torch.load(_LINEAR, map_location="cpu", weights_only=True)
        self._linear: list[Tensor] = [state[f"lin{number}.model.1.weight"] for number in range(len(layers))]

    def to(self, device: torch.device) -> None:
        """Moves the network."""
        self._features.to(device)
        self._linear = [weights.to(device) for weights in self._linear]

    def __call__(self, preds: Tensor, target: Tensor) -> float:
        """Distance of two images (1, 3, H, W) in [0, 1]."""
        pairs = zip(self._features(preds), self._features(target), self._linear, strict=True)
        return float(sum(F.conv2d((_unit(a) - _unit(b)).square(), weights).mean() for a, b, weights in pairs))


def _unit(features: Tensor) -> Tensor:
    """Divides the channels (N, C, H, W) of each position by their norm."""
    return features * (features.square().sum(1, keepdim=True) + 1e-8).rsqrt()
