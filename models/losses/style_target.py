"""The style image as a target: its Gram matrices in the features of a VGG."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.losses.gram import color_moments, gram_matrix
from models.losses.pixel import mse_per_image
from models.losses.vgg import VggFeatures, VggName, channels_of, layers_before_pools
from models.weights.pretrained import WeightsError


class StyleTarget(nn.Module):
    """Gram matrices and color moments of a style image, and the VGG by which images are compared with them.

    The matrices are buffers and in the checkpoint. The VGG is not (``models/losses/vgg.py``): ``load()`` loads it, and
    inference with a trained network does not need it.

    Args:
        name: VGG of torchvision.
        layers: indices into its ``features``; ``None`` takes the activations just before the last four max-pools.
        weights: of the VGG: ``"imagenet"``, the path of a file, ``"none"`` or ``"auto"``.
        seed: of random VGG weights.

    Attributes:
        weights_origin: where the weights of the VGG came from, for reports.

    Raises:
        ValueError: unknown name, or layers that it does not have.
    """

    style_origin: Tensor

    def __init__(self, *, name: VggName, layers: Sequence[int] | None, weights: str, seed: int) -> None:
        super().__init__()
        self.name, self.weights, self.seed = name, weights, seed
        self.layers = tuple(layers_before_pools(name)[-4:] if layers is None else layers)
        for layer, channels in zip(self.layers, channels_of(name, self.layers), strict=True):
            self.register_buffer(f"gram_{layer}", torch.zeros(channels, channels))
        self.register_buffer("gram_color", torch.zeros(4, 4))
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

    @torch.no_grad()
    def set_style(self, image: Tensor) -> None:
        """Stores the Gram matrices of a style image.

        Args:
            image: (3, h, w) float32, RGB in [0, 1]. Its size sets the size of the brush strokes and may differ from
                that of the content images.
        """
        self.style_origin.zero_()
        for name, gram in self.grams(image[None], self.features_of(image[None])).items():
            self.get_buffer(name).copy_(gram[0])
        self.style_origin.copy_(self._origin_of(self._load_vgg()))

    def distance(self, name: str, gram: Tensor) -> Tensor:
        """Mean squared error between matrices (N, C, C) of images and the stored one called ``name``, (N,)."""
        return mse_per_image(gram, self.get_buffer(name).expand_as(gram))

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
