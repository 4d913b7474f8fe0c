"""Loss of style transfer: content of one image, style of another (Johnson et al. 2016)."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from models.losses.gram import color_moments, gram_matrix
from models.losses.luminance import luminance_loss
from models.losses.pixel import full_precision, mse_per_image, total_variation
from models.losses.style_target import StyleTarget
from models.losses.vgg import VggName

#: Smallest unit of a part, relative to the mean square of what is compared: keeps the loss finite for flat images and
#: for the style image itself.
_MIN_UNIT = 1e-6
#: Parts that compare with the content image, not with the style image: 0 if it is left unchanged.
CONTENT_PARTS = ("content", "luminance")


class StyleLoss(StyleTarget):
    """Content at one layer of a VGG and Gram matrices at several; optionally luminance, colors and total variation.

    With ``balance=True`` every part is divided by its value on untouched images, measured by ``calibrate()``: 1 means
    as far from the style image, or as much total variation, as those; for the content, as far as a feature map without
    contrast. The luminance part has no unit. Weights are then comparable across style images and VGGs.
    Without it the parts are plain mean squared errors, whose orders of magnitude differ widely: fast.ai's lesson 14
    uses 1e4 for content, 1e12 for style (its Gram matrices are 1e6 times ours) and (0.025, 0.275, 5.0, 0.2) for layers.

    VGG features can be almost invariant to the color and brightness of flat regions. Networks then match the Gram
    matrices by dark blots in such regions, and miss the palette (Risser et al. 2017 describe such instabilities). Two
    parts of our own prevent this: ``color`` compares the moments of colors with those of the style image
    (``color_moments``), ``luminance`` keeps the luminance of the image (``luminance_loss``).

    Parts of weight 0 are not computed. Gram matrices and units are in the checkpoint, the VGG is not
    (``StyleTarget``).

    Args:
        name: VGG of torchvision.
        layers: indices into its ``features`` whose Gram matrices are compared; ``None`` takes the activations just
            before the last four max-pools: 12, 22, 32, 42 in vgg16_bn, 8, 15, 22, 29 in vgg16.
        content_layer: one of ``layers``; ``None`` takes the last but one.
        layer_weights: weight of each layer's style.
        content_weight: weight of the content.
        style_weight: factor on all ``layer_weights``.
        luminance_weight: weight of the luminance, compared with the image.
        color_weight: weight of the color moments, compared with the style image.
        tv_weight: weight of the total variation.
        balance: divide each part by its unit.
        weights: of the VGG: ``"imagenet"``, the path of a file, ``"none"`` for random ones, or ``"auto"``: ImageNet's
            if they are available, otherwise random ones with a warning.
        seed: of random VGG weights.

    Attributes:
        part_weights: weight of every part by its name.

    Raises:
        ValueError: unknown name; layers that it does not have; a weight that is negative or missing.
    """

    units: Tensor
    weight_row: Tensor

    def __init__(
        self,
        *,
        name: VggName = "vgg16_bn",
        layers: Sequence[int] | None = None,
        content_layer: int | None = None,
        layer_weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        luminance_weight: float = 0.0,
        color_weight: float = 0.0,
        tv_weight: float = 0.0,
        balance: bool = True,
        weights: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(name=name, layers=layers, weights=weights, seed=seed)
        self.balance = balance
        self.content_layer = self.layers[-2:][0] if content_layer is None else content_layer
        if self.content_layer not in self.layers:
            raise ValueError(f"content_layer={content_layer} must be one of the layers {list(self.layers)}")
        if len(self.layers) != len(layer_weights):
            raise ValueError(
                f"layer_weights has {len(layer_weights)} numbers for {len(self.layers)} layers: one for each"
            )
        if min(*layer_weights, content_weight, style_weight, luminance_weight, color_weight, tv_weight) < 0:
            raise ValueError("no weight may be negative")
        self.part_weights = {
            "content": content_weight,
            "luminance": luminance_weight,
            **{f"style_{n}": style_weight * weight for n, weight in zip(self.layers, layer_weights, strict=True)},
            "color": color_weight,
            "tv": tv_weight,
        }
        self.register_buffer("units", torch.zeros(len(self.part_weights)))  # in the order of part_weights; 0: unknown
        self.register_buffer("weight_row", torch.tensor(list(self.part_weights.values())), persistent=False)
        self._checked = False

    @property
    def calibrated(self) -> bool:
        """Whether the units are known."""
        return bool(self.units[0])

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts with a weight, in the order of ``part_weights``."""
        return tuple(name for name, weight in self.part_weights.items() if weight)

    def set_style(self, image: Tensor) -> None:
        """Stores the Gram matrices of a style image and resets the units.

        Args:
            image: (3, h, w) float32, RGB in [0, 1].
        """
        super().set_style(image)
        self.units.zero_()
        self._checked = False

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> dict[str, float]:
        """Measures the units of all parts on untouched images, one by one.

        Args:
            images: (N, 3, H, W) float32, RGB in [0, 1]; the same on all ranks.

        Returns:
            The unit of every part by its name.

        Raises:
            RuntimeError: if no style is set.
        """
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image) before calibrate(images)")
        rows = [self._units_of(image[None]).tolist() for image in images]
        # In Python's double precision, since MPS has no float64.
        self.units.copy_(torch.tensor([fmean(column) for column in zip(*rows, strict=True)]))
        self._checked = False
        return dict(zip(self.part_weights, self.units.tolist(), strict=True))

    def forward(self, preds: Tensor, content: Tensor) -> dict[str, Tensor]:
        """Compares results with their content images and the style image.

        Args:
            preds: (N, 3, H, W), RGB, about [0, 1]; receives gradients.
            content: the images they were made from, same shape as ``preds``; receives none.

        Returns:
            ``{"content": ..., "style_12": ..., ...}``, float32 scalars multiplied by their weights; their sum is the
            loss.

        Raises:
            RuntimeError: if no style is set, or the units are needed and unknown.
        """
        return {name: part.mean() for name, part in self.parts_per_image(preds, content).items()}

    def per_image(self, preds: Tensor, content: Tensor) -> Tensor:
        """Returns the loss of each image, (N,); arguments and errors as in ``forward``."""
        return torch.stack(list(self.parts_per_image(preds, content).values())).sum(0)

    def parts_per_image(self, preds: Tensor, content: Tensor) -> dict[str, Tensor]:
        """Returns the parts of each image, (N,) each; arguments and errors as in ``forward``."""
        if preds.shape != content.shape:
            raise ValueError(f"preds {tuple(preds.shape)} and content {tuple(content.shape)} must have one shape")
        if not self._checked:  # once only: on a GPU each check waits for all queued kernels
            self._check()
        needed = [n for n in self.layers if self.part_weights[f"style_{n}"]]
        needed += [self.content_layer] if self.part_weights["content"] else []
        features = self.features_of(preds, up_to=max(needed)) if needed else {}
        parts: dict[str, Tensor] = {}
        for name, weight in self.part_weights.items():
            if not weight:
                continue
            if name == "content":
                with torch.no_grad():
                    target = self.features_of(content, up_to=self.content_layer)[self.content_layer]
                parts[name] = mse_per_image(features[self.content_layer], target)
            elif name == "luminance":
                parts[name] = luminance_loss(preds, content.detach())
            elif name == "color":
                parts[name] = self.distance("gram_color", color_moments(preds))
            elif name == "tv":
                parts[name] = total_variation(preds)
            else:
                layer = int(name.removeprefix("style_"))
                parts[name] = self.distance(f"gram_{layer}", gram_matrix(features[layer]))
        weights = self.weight_row / self.units if self.balance else self.weight_row
        by_name = dict(zip(self.part_weights, weights.unbind(), strict=True))
        return {name: part * by_name[name] for name, part in parts.items()}

    def _units_of(self, image: Tensor) -> Tensor:
        """Units of one image, (parts,)."""
        features = self.features_of(image)
        x = full_precision(features[self.content_layer])
        content = x.var((2, 3), correction=0).mean().clamp(min=_MIN_UNIT * x.square().mean())
        styles = [
            self.distance(name, gram)[0].clamp(min=_MIN_UNIT * self.get_buffer(name).square().mean())
            for name, gram in self.grams(image, features).items()
        ]
        return torch.stack([content, content.new_ones(()), *styles, total_variation(image)[0].clamp(min=_MIN_UNIT)])

    def _check(self) -> None:
        self.load()
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image)")
        if self.balance and not self.calibrated:
            raise RuntimeError("a balanced StyleLoss has no units yet: call calibrate(images)")
        self._checked = True

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self._checked = False
        super()._load_from_state_dict(state_dict, prefix, *rest)
