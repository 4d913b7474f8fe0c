"""The style images as targets: their Gram matrices in the features of a VGG."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.losses.gram import color_moments, gram_matrix
from models.losses.pixel import full_precision, mse_per_image, total_variation
from models.losses.vgg import VggFeatures, VggName, channels_of, layers_before_pools
from models.weights.pretrained import WeightsError

#: Smallest unit of a part, relative to the mean square of what is compared: keeps the loss finite for flat images and
#: for the style image itself.
_MIN_UNIT = 1e-6


class StyleTarget(nn.Module):
    """Gram matrices and color moments of style images, and the VGG by which images are compared with them.

    The matrices are buffers and in the checkpoint. The VGG is not (``models/losses/vgg.py``): ``load()`` loads it, and
    inference with a trained network does not need it.

    Args:
        name: VGG of torchvision.
        layers: indices into its ``features``; ``None`` takes the activations just before the last four max-pools.
        weights: of the VGG: ``"imagenet"``, the path of a file, ``"none"`` or ``"auto"``.
        seed: of random VGG weights.
        styles: number of style images. The buffers have a first dimension of this size if it is above 1.

    Attributes:
        weights_origin: where the weights of the VGG came from, for reports.

    Raises:
        ValueError: unknown name, or layers that it does not have.
    """

    style_origin: Tensor

    def __init__(
        self, *, name: VggName, layers: Sequence[int] | None, weights: str, seed: int, styles: int = 1
    ) -> None:
        super().__init__()
        if styles < 1:
            raise ValueError(f"styles must be at least 1, not {styles}")
        self.name, self.weights, self.seed, self.styles = name, weights, seed, styles
        self.layers = tuple(layers_before_pools(name)[-4:] if layers is None else layers)
        for layer, channels in zip(self.layers, channels_of(name, self.layers), strict=True):
            self.register_buffer(f"gram_{layer}", self.per_style(torch.zeros(channels, channels)))
        self.register_buffer("gram_color", self.per_style(torch.zeros(4, 4)))
        # 0 no style, 1 set with trained features, 2 with random ones; then the checksum of the VGG that was used
        self.register_buffer("style_origin", torch.zeros(5))
        self.features: VggFeatures | None = None
        self.weights_origin = "not loaded"

    @property
    def has_style(self) -> bool:
        """Whether a style image was set, here or in the checkpoint."""
        return bool(self.style_origin[0])

    @property
    def random(self) -> bool:
        """Whether the loaded VGG is random; if none is loaded, the one with which the style was set."""
        return self.features.random if self.features is not None else bool(self.style_origin[0] == 2)

    def load(self) -> None:
        """Loads the VGG once.

        Raises:
            ValueError: layers that the VGG does not have.
            WeightsError: the weights are not available, do not fit, or differ from those the style was set with.
        """
        features = self._load_vgg()
        if self.has_style and not torch.equal(self.style_origin, self._origin_of(features)):
            raise WeightsError(
                "the style was measured with other VGG weights than those found now "
                f"({self.weights_origin}): name their file with --model.loss.weights FILE, or train again"
            )

    def per_style(self, value: Tensor) -> Tensor:
        """Repeats a value for every style, without a dimension for a single one: checkpoints of it stay small."""
        return value if self.styles == 1 else value.repeat(self.styles, *(1 for _ in value.shape))

    def set_style(self, image: Tensor) -> None:
        """Stores the Gram matrices of the only style image; see ``set_styles``."""
        self.set_styles([image])

    @torch.no_grad()
    def set_styles(self, images: Sequence[Tensor]) -> None:
        """Stores the Gram matrices of the style images.

        Args:
            images: (3, h, w) each, float32, RGB in [0, 1]. Their size sets the size of the brush strokes and may
                differ from that of the content images.

        Raises:
            ValueError: if their number is not that of the styles.
        """
        if len(images) != self.styles:
            raise ValueError(f"{len(images)} style images for a loss of {self.styles} styles")
        self.style_origin.zero_()
        measured = [self.grams(image[None], self.features_of(image[None])) for image in images]
        for name in measured[0]:
            self.get_buffer(name).copy_(torch.cat([grams[name] for grams in measured]).view_as(self.get_buffer(name)))
        self.style_origin.copy_(self._origin_of(self._load_vgg()))

    def targets(self, name: str, styles: Tensor | None = None) -> Tensor:
        """The stored matrices called ``name``: (C, C) of a single style, otherwise (N, C, C), those of ``styles``.

        Args:
            name: of the buffer.
            styles: (N,) int64, the style of each image; ``None`` is the first.
        """
        stored = self.get_buffer(name)
        if self.styles == 1:
            return stored
        return stored[0] if styles is None else stored[styles]

    def distance(self, name: str, gram: Tensor, styles: Tensor | None = None) -> Tensor:
        """Mean squared error between matrices (N, C, C) of images and those of their styles, (N,)."""
        return mse_per_image(gram, self.targets(name, styles).expand_as(gram))

    def units_of(self, image: Tensor, *, content_layers: Sequence[int]) -> dict[str, Tensor]:
        """Units of the parts of the loss by one untouched image (1, 3, H, W), for every style, (styles,) each."""
        features = self.features_of(image)
        compared = [full_precision(features[layer]) for layer in content_layers]
        contrasts = [x.var((2, 3), correction=0).mean().clamp(min=_MIN_UNIT * x.square().mean()) for x in compared]
        units = {"content": torch.stack(contrasts).sum(), "luminance": image.new_ones(())}
        for name, gram in self.grams(image, features).items():
            stored = self.get_buffer(name).view(self.styles, *gram.shape[1:])
            distance = mse_per_image(gram.expand_as(stored), stored)
            part = "color" if name == "gram_color" else name.replace("gram_", "style_")
            units[part] = distance.clamp(min=_MIN_UNIT * stored.square().mean((1, 2)))
        units["tv"] = total_variation(image)[0].clamp(min=_MIN_UNIT)
        return {name: unit.expand(self.styles) for name, unit in units.items()}

    def grams(self, images: Tensor, features: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Gram matrices and color moments by the name of their buffer."""
        grams = {f"gram_{layer}": gram_matrix(features[layer]) for layer in self.layers}
        return grams | {"gram_color": color_moments(images)}

    def features_of(self, images: Tensor, *, up_to: int | None = None) -> dict[int, Tensor]:
        """VGG features of images by layer, on the device and in the precision of the buffers."""
        features: list[Tensor] = self._load_vgg()(images.to(self.style_origin), up_to=up_to)
        return dict(zip(self.layers, features, strict=False))

    def _load_vgg(self) -> VggFeatures:
        if self.features is None:
            self.features = VggFeatures(name=self.name, layers=self.layers, weights=self.weights, seed=self.seed)
            self.features.to(self.style_origin)
            self.weights_origin = self.features.weights_origin
        return self.features

    def _origin_of(self, features: VggFeatures) -> Tensor:
        """1 or 2 and the bytes of the checksum: integers that survive every precision and weight averaging."""
        return self.style_origin.new_tensor([1 + features.random, *features.checksum.to_bytes(4, "big")])
