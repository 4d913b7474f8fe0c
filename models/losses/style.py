"""The loss of style transfer: like the image in what is shown, like the painting in how (Johnson et al. 2016)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.losses.gram import color_moments, gram_matrix
from models.losses.luminance import luminance_loss
from models.losses.pixel import full_precision
from models.losses.vgg import VggFeatures, VggName, channels_of, layers_before_pools
from models.weights.pretrained import WeightsError

#: Smallest unit of a part, relative to the mean square of what is compared: keeps an image that is flat, or the
#: painting itself, from making it infinite.
_LEAST = 1e-6
#: Parts that compare with the image, and not with the painting: 0 where it is untouched.
FROM_IMAGE = ("content", "light")


class StyleLoss(nn.Module):
    """Content at one layer of a VGG, Gram matrices at several; light, colors and total variation if wanted.

    With ``balance``, each part is measured in units of what it is for untouched images: a layer's style is 1 where
    the image is as far from the painting as they are, content is 1 where nothing is left of the image but its
    average, total variation is 1 where the image is as restless as they are; so is the part of colors, and that of
    light needs no unit. ``calibrate()`` measures the units. So
    the weights are plain ratios, which hold for any painting and any VGG. Without it the parts are the bare mean
    squared errors, whose sizes lie many orders of magnitude apart: fast.ai's lesson 14 calls them touchy, and gives
    1e4 for content, 1e12 for style (its Gram matrices are 1e6 times ours) and (0.025, 0.275, 5.0, 0.2) for the layers.

    A VGG need not care how light and of which color flat surfaces are. Where it does not, a network puts dark blots
    on them that pay for the painting's Gram matrices, and its palette is missing all the same (Risser et al. 2017
    describe such instabilities). Two parts of our own see to both: that of colors compares means and products of
    colors with the painting's, wherever they are (``color_moments``); that of light keeps what is light and dark
    where the image has it, whatever the brightness and contrast in all (``luminance_loss``).

    The painting's Gram matrices and the units are buffers, and so part of a checkpoint. The VGG is not
    (``models/losses/vgg.py``); it is loaded by ``load()``, and to use a trained network it is not needed.

    Args:
        name: of torchvision's VGG.
        layers: places in its ``features`` whose Gram matrices are compared; ``None`` takes the activations just before
            its last four max-pools: 12, 22, 32, 42 in vgg16_bn, 8, 15, 22, 29 in vgg16.
        content_layer: one of ``layers``; ``None`` takes the last but one.
        layer_weights: of each layer's style.
        content_weight: of the content.
        style_weight: of all styles.
        luminance_weight: of what is light and dark, as in the image.
        color_weight: of the colors, as in the painting.
        tv_weight: of the total variation.
        balance: whether parts are measured in units of untouched images.
        weights: of the VGG: ``"imagenet"``, the path of a file, ``"none"`` for random ones, or ``"auto"``: ImageNet's
            if they can be had, else random ones and a warning.
        seed: of random weights.

    Attributes:
        weights_origin: where the VGG's weights came from, in words.

    Raises:
        ValueError: unknown name; layers that it does not have; a weight that is negative or missing.
    """

    units: Tensor
    style_origin: Tensor
    row: Tensor

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
        super().__init__()
        self.name, self.weights, self.seed, self.balance = name, weights, seed, balance
        self.layers = tuple(layers_before_pools(name)[-4:] if layers is None else layers)
        self.content_layer = self.layers[-2:][0] if content_layer is None else content_layer
        if self.content_layer not in self.layers:
            raise ValueError(f"content_layer={content_layer} must be one of the layers {list(self.layers)}")
        if len(self.layers) != len(layer_weights):
            raise ValueError(
                f"layer_weights has {len(layer_weights)} numbers for {len(self.layers)} layers: one for each"
            )
        if min(*layer_weights, content_weight, style_weight, luminance_weight, color_weight, tv_weight) < 0:
            raise ValueError("no weight may be negative")
        #: Weight of every part by its name.
        self.part_weights = {
            "content": content_weight,
            "light": luminance_weight,
            **{f"style_{n}": style_weight * weight for n, weight in zip(self.layers, layer_weights, strict=True)},
            "color": color_weight,
            "tv": tv_weight,
        }
        for layer, channels in zip(self.layers, channels_of(name, self.layers), strict=True):
            self.register_buffer(f"gram_{layer}", torch.zeros(channels, channels))
        self.register_buffer("gram_color", torch.zeros(4, 4))
        self.register_buffer("units", torch.zeros(len(self.part_weights)))  # in their order; 0: not measured
        # whether there is a style (2: taken by random features) and the checksum of the VGG it was taken by
        self.register_buffer("style_origin", torch.zeros(5))
        self.register_buffer("row", torch.tensor(list(self.part_weights.values())), persistent=False)
        self.features: VggFeatures | None = None
        self.weights_origin = "not loaded"
        self._ready = False

    @property
    def has_style(self) -> bool:
        """Whether a painting was given, here or in the checkpoint that was read."""
        return bool(self.style_origin[0])

    @property
    def random(self) -> bool:
        """Whether the VGG in use is random, or where none is loaded, the one by which the style was taken."""
        return self.features.random if self.features is not None else bool(self.style_origin[0] == 2)

    @property
    def calibrated(self) -> bool:
        """Whether the units are known."""
        return bool(self.units[0])

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the parts that count, in their order."""
        return tuple(name for name, weight in self.part_weights.items() if weight)

    def load(self) -> None:
        """Loads the VGG, once.

        Raises:
            ValueError: layers that the VGG does not have.
            WeightsError: weights that cannot be had, do not fit, or are not those by which the style was taken.
        """
        features = self._vgg()
        if self.has_style and not torch.equal(self.style_origin, self._mark(features)):
            raise WeightsError(
                "the painting was looked at with other VGG weights than those found now "
                f"({self.weights_origin}): name their file with --model.loss.weights FILE, or train anew"
            )

    @torch.no_grad()
    def set_style(self, image: Tensor) -> None:
        """Takes the Gram matrices of a painting, and forgets the units that held for another.

        Args:
            image: (3, h, w) float32, RGB in [0, 1]. Its size decides how large the brush strokes are, and need not be
                that of the images.
        """
        self.style_origin.zero_()
        self.units.zero_()
        for name, gram in self._grams(image[None], self._see(image[None])).items():
            self.get_buffer(name).copy_(gram[0])
        self.style_origin.copy_(self._mark(self._vgg()))
        self._ready = False

    @torch.no_grad()
    def calibrate(self, images: Tensor) -> dict[str, float]:
        """Measures the units on untouched images, one by one.

        Args:
            images: (N, 3, H, W) float32, RGB in [0, 1]; the same ones on every process.

        Returns:
            The unit of every part by its name.

        Raises:
            RuntimeError: if there is no style yet.
        """
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image) before calibrate(images)")
        units = torch.stack([self._units_of(image[None]) for image in images])
        self.units.copy_(units.double().mean(0))
        self._ready = False
        return dict(zip(self.part_weights, self.units.tolist(), strict=True))

    def forward(self, preds: Tensor, content: Tensor) -> dict[str, Tensor]:
        """Judges images.

        Args:
            preds: (N, 3, H, W), RGB, about [0, 1]; gradients flow to it.
            content: the images they were made of, the same shape; none flow to it.

        Returns:
            ``{"content": ..., "style_12": ..., ...}``, float32 scalars, each already times its weight; the loss is
            their sum.

        Raises:
            RuntimeError: if there is no style, or no units where they are needed.
        """
        return {name: part.mean() for name, part in self.parts_per_image(preds, content).items()}

    def parts_per_image(self, preds: Tensor, content: Tensor) -> dict[str, Tensor]:
        """Gives the parts of each image by itself, (N,) each; arguments and errors as in ``forward``."""
        named = zip(self.part_weights.items(), self._parts(preds, content).unbind(), strict=True)
        return {name: part for (name, weight), part in named if weight}

    def per_image(self, preds: Tensor, content: Tensor) -> Tensor:
        """Gives the loss of each image by itself, (N,); arguments and errors as in ``forward``."""
        return self._parts(preds, content).sum(0)

    def _parts(self, preds: Tensor, content: Tensor) -> Tensor:
        """All parts of all images, (parts, N)."""
        if preds.shape != content.shape:
            raise ValueError(f"images {tuple(preds.shape)} cannot be made of images {tuple(content.shape)}")
        if not self._ready:  # asked once: on a GPU each answer waits for all that is under way
            self._check()
        with torch.no_grad():
            *_, wanted = self._see(content, up_to=self.content_layer)
        found = self._see(preds)
        content_part = _mse(found[self.layers.index(self.content_layer)], wanted)
        light = luminance_loss(preds, content.detach())
        parts = [content_part, light, *self._style_parts(self._grams(preds, found)), total_variation(preds)]
        weights = self.row / self.units if self.balance else self.row
        return torch.stack(parts) * weights[:, None]

    def _units_of(self, image: Tensor) -> Tensor:
        """The units of one image, (parts,)."""
        found = self._see(image)
        shown = full_precision(found[self.layers.index(self.content_layer)])
        content = shown.var((2, 3), correction=0).mean().clamp(min=_LEAST * shown.square().mean())
        grams = self._grams(image, found)
        styles = [
            part[0].clamp(min=_LEAST * self.get_buffer(name).square().mean())
            for name, part in zip(grams, self._style_parts(grams), strict=True)
        ]
        return torch.stack([content, content.new_ones(()), *styles, total_variation(image)[0].clamp(min=_LEAST)])

    def _style_parts(self, grams: dict[str, Tensor]) -> list[Tensor]:
        return [_mse(gram, self.get_buffer(name).expand_as(gram)) for name, gram in grams.items()]

    def _grams(self, images: Tensor, found: list[Tensor]) -> dict[str, Tensor]:
        """Gram matrices by the names of the painting's, in the order of part_weights."""
        grams = {f"gram_{layer}": gram_matrix(features) for layer, features in zip(self.layers, found, strict=True)}
        return grams | {"gram_color": color_moments(images)}

    def _see(self, images: Tensor, *, up_to: int | None = None) -> list[Tensor]:
        """What the VGG makes of images, in its own place and precision."""
        seen: list[Tensor] = self._vgg()(images.to(self.units), up_to=up_to)
        return seen

    def _vgg(self) -> VggFeatures:
        if self.features is None:
            self.features = VggFeatures(name=self.name, layers=self.layers, weights=self.weights, seed=self.seed)
            self.features.to(self.units)
            self.weights_origin = self.features.weights_origin
        return self.features

    def _check(self) -> None:
        self.load()
        if not self.has_style:
            raise RuntimeError("StyleLoss has no style yet: call set_style(image)")
        if self.balance and not self.calibrated:
            raise RuntimeError("a balanced StyleLoss has no units yet: call calibrate(images)")
        self._ready = True

    def _mark(self, features: VggFeatures) -> Tensor:
        """1 or 2 and four bytes: numbers that survive every precision and an average with themselves."""
        return self.style_origin.new_tensor([1 + features.random, *features.checksum.to_bytes(4, "big")])

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """What is loaded has to be checked again."""
        self._ready = False
        super()._load_from_state_dict(state_dict, prefix, *rest)


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbours, downwards plus sideways.

    Args:
        images: (N, C, H, W), each side at least 2.

    Returns:
        (N,), float32 (float64 for float64).
    """
    x = full_precision(images)
    return x.diff(dim=2).abs().mean((1, 2, 3)) + x.diff(dim=3).abs().mean((1, 2, 3))


def _mse(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared error of each image, (N,)."""
    return (full_precision(a) - full_precision(b)).square().flatten(1).mean(1)
