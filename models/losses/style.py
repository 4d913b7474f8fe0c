"""Loss of style transfer: content of one image, style of another (Johnson et al. 2016)."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from models.losses.gram import color_moments, gram_matrix
from models.losses.luminance import luminance_loss
from models.losses.pixel import mse_per_image, total_variation
from models.losses.style_target import StyleTarget
from models.losses.vgg import VggName

#: Parts that compare with the content image, not with the style image: 0 if it is left unchanged.
CONTENT_PARTS = ("content", "luminance")


class StyleLoss(StyleTarget):
    """Content at layers of a VGG and Gram matrices at several; optionally luminance, colors and total variation.

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

    With several styles, each image of a batch is compared with the style image of its own index.

    Args:
        name: VGG of torchvision.
        layers: indices into its ``features`` whose Gram matrices are compared; ``None`` takes the activations just
            before the last four max-pools: 12, 22, 32, 42 in vgg16_bn, 8, 15, 22, 29 in vgg16.
        content_layer: one or several of ``layers``, whose errors are added; ``None`` takes the last but one.
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
        styles: number of style images.

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
        content_layer: int | Sequence[int] | None = None,
        layer_weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
        content_weight: float = 1.0,
        style_weight: float = 1.0,
        luminance_weight: float = 0.0,
        color_weight: float = 0.0,
        tv_weight: float = 0.0,
        balance: bool = True,
        weights: str = "auto",
        seed: int = 0,
        styles: int = 1,
    ) -> None:
        super().__init__(name=name, layers=layers, weights=weights, seed=seed, styles=styles)
        self.balance = balance
        given = self.layers[-2:][0] if content_layer is None else content_layer
        self.content_layers = (given,) if isinstance(given, int) else tuple(given)
        if not self.content_layers or not set(self.content_layers) <= set(self.layers):
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
        # In the order of part_weights; 0 is unknown.
        self.register_buffer("units", self.per_style(torch.zeros(len(self.part_weights))))
        self.register_buffer("weight_row", torch.tensor(list(self.part_weights.values())), persistent=False)
        self._checked = False

    @property
    def calibrated(self) -> bool:
        """Whether the units are known."""
        return bool(self.units.flatten()[0])

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts with a weight, in the order of ``part_weights``."""
        return tuple(name for name, weight in self.part_weights.items() if weight)

    def set_styles(self, images: Sequence[Tensor]) -> None:
        """Stores the Gram matrices of the style images and resets the units; see ``StyleTarget``."""
        super().set_styles(images)
        self.units.zero_()
        self._checked = False

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> dict[str, float]:
        """Measures the units of all parts on untouched images, one by one.

        Args:
            images: (N, 3, H, W) float32, RGB in [0, 1]; the same on all ranks.

        Returns:
            The unit of every part by its name, averaged over the styles.

        Raises:
            RuntimeError: if no style is set.
        """
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image) before calibrate(images)")
        measured = [self.units_of(image[None], content_layers=self.content_layers) for image in images]
        rows = torch.stack([torch.stack([units[part] for part in self.part_weights], 1) for units in measured])
        # Python's floats have 64 bits; tensors on MPS do not.
        means = [fmean(values) for values in zip(*rows.flatten(1).tolist(), strict=True)]
        self.units.copy_(torch.tensor(means).view_as(self.units))
        self._checked = False
        return self.mean_units()

    def mean_units(self) -> dict[str, float]:
        """The unit of every part by its name, averaged over the styles."""
        means = self.units.view(self.styles, -1).mean(0)
        return dict(zip(self.part_weights, means.tolist(), strict=True))

    def forward(self, preds: Tensor, content: Tensor, styles: Tensor | None = None) -> dict[str, Tensor]:
        """Compares results with their content images and their style image.

        Args:
            preds: (N, 3, H, W), RGB, about [0, 1]; receives gradients.
            content: the images they were made from, same shape as ``preds``; receives none.
            styles: (N,) int64, the style of each image; ``None`` is the first for all.

        Returns:
            ``{"content": ..., "style_12": ..., ...}``, float32 scalars multiplied by their weights; their sum is the
            loss.

        Raises:
            RuntimeError: if no style is set, or the units are needed and unknown.
        """
        parts = self.parts_per_image(preds, content, styles)
        return {name: part.mean() for name, part in parts.items()}

    def per_image(self, preds: Tensor, content: Tensor, styles: Tensor | None = None) -> Tensor:
        """Returns the loss of each image, (N,); arguments and errors as in ``forward``."""
        return total_of(self.parts_per_image(preds, content, styles))

    def parts_per_image(self, preds: Tensor, content: Tensor, styles: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the parts of each image, (N,) each; arguments and errors as in ``forward``."""
        self._check(preds, content)
        features = self._features_needed(preds)
        with torch.no_grad():  # the VGG runs no further than to the content layers
            compared = bool(self.part_weights["content"])
            target = self.features_of(content, up_to=max(self.content_layers)) if compared else {}
        return self._parts(preds, content, features, target, styles)

    @torch.no_grad()
    def with_untouched(
        self, preds: Tensor, content: Tensor, styles: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Returns the parts of each result, and the loss of each untouched image, (N,), without gradients.

        Both take one pass of the VGG over the results and the images, where ``parts_per_image(preds, content)`` and
        ``per_image(content, content)`` take four. Arguments and errors as in ``forward``.
        """
        self._check(preds, content)
        both = {n: x.chunk(2) for n, x in self._features_needed(torch.cat([preds, content.to(preds)])).items()}
        features, untouched = ({n: halves[i] for n, halves in both.items()} for i in (0, 1))
        parts = self._parts(preds, content, features, untouched, styles)
        return parts, total_of(self._parts(content, content, untouched, untouched, styles))

    def _features_needed(self, images: Tensor) -> dict[int, Tensor]:
        """Features of the layers up to the last one with a weight."""
        needed = [n for n in self.layers if self.part_weights[f"style_{n}"]]
        needed += self.content_layers if self.part_weights["content"] else ()
        return self.features_of(images, up_to=max(needed)) if needed else {}

    def _parts(
        self,
        preds: Tensor,
        content: Tensor,
        features: Mapping[int, Tensor],
        target: Mapping[int, Tensor],
        styles: Tensor | None,
    ) -> dict[str, Tensor]:
        """The weighted parts of each image, given the features of ``preds`` and ``content``."""
        parts: dict[str, Tensor] = {}
        for name, weight in self.part_weights.items():
            if not weight:
                continue
            if name == "content":
                errors = [mse_per_image(features[layer], target[layer]) for layer in self.content_layers]
                parts[name] = torch.stack(errors).sum(0)
            elif name == "luminance":
                parts[name] = luminance_loss(preds, content.detach())
            elif name == "color":
                parts[name] = self.distance("gram_color", color_moments(preds), styles)
            elif name == "tv":
                parts[name] = total_variation(preds)
            else:
                layer = int(name.removeprefix("style_"))
                parts[name] = self.distance(f"gram_{layer}", gram_matrix(features[layer]), styles)
        weights = self.weight_row / self.targets("units", styles) if self.balance else self.weight_row
        by_name = dict(zip(self.part_weights, weights.unbind(-1), strict=True))
        return {name: part * by_name[name] for name, part in parts.items()}

    def _check(self, preds: Tensor, content: Tensor) -> None:
        if preds.shape != content.shape:
            raise ValueError(f"preds {tuple(preds.shape)} and content {tuple(content.shape)} must have one shape")
        if self._checked:  # once only: on a GPU each check waits for all queued kernels
            return
        self.load()
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image)")
        if self.balance and not self.calibrated:
            raise RuntimeError("a balanced StyleLoss has no units yet: call calibrate(images)")
        self._checked = True

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self._checked = False
        super()._load_from_state_dict(state_dict, prefix, *rest)


def total_of(parts: Mapping[str, Tensor]) -> Tensor:
    """Sum of the parts of each image, (N,)."""
    return torch.stack(list(parts.values())).sum(0)
