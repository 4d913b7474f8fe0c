"""MultiStyleResnet: one network for many styles by conditional instance norm (Dumoulin et al. 2017)."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.style.conditional_norm import ConditionalInstanceNorm2d
from models.style.style_resnet import Border, StyleResnet, Upsample
from models.style.tiled_instance_norm import TiledInstanceNorm2d

Norm = TypeVar("Norm", bound=nn.Module)


class MultiStyleResnet(StyleResnet):
    """A ``StyleResnet`` whose convolutions all styles share; each style has its own scales and shifts of the norms.

    After "A Learned Representation for Artistic Style" (arXiv:1610.07629). A style takes two numbers for each channel
    of each norm, 3,200 with the default width: 6.4 kB in float16. Scales and shifts of several styles can be averaged
    (``fixed``), which blends the styles.

    Departures from the paper: bilinear in place of nearest-neighbor upsampling.

    Args:
        styles: names of the styles, in the order of their rows.
        width: of ``StyleResnet``.
        blocks: of ``StyleResnet``.
        upsample: of ``StyleResnet``.
        border: of ``StyleResnet``.

    Raises:
        ValueError: if there is no style, a name is given twice, or an option of ``StyleResnet`` is wrong.
    """

    def __init__(
        self,
        *,
        styles: Sequence[str],
        width: int = 32,
        blocks: int = 5,
        upsample: Upsample = "bilinear",
        border: Border = "layers",
    ) -> None:
        super().__init__(width=width, blocks=blocks, norm="instance", upsample=upsample, border=border)
        if not styles or len(set(styles)) != len(styles):
            raise ValueError(f"styles must be different names, at least one, not {list(styles)}")
        self.styles = tuple(styles)
        self._plain = partial(
            StyleResnet, width=width, blocks=blocks, norm="instance", upsample=upsample, border=border
        )
        _replace_norms_(
            self,
            TiledInstanceNorm2d,
            lambda norm: ConditionalInstanceNorm2d(norm.num_features, len(self.styles)),
        )

    def forward(self, images: Tensor, styles: Tensor | None = None) -> Tensor:
        """Renders RGB images, each in its style.

        Args:
            images: (N, 3, H, W) float32 in [0, 1].
            styles: (N,) int64, indices into ``self.styles``; ``None`` is the first style for all images.

        Returns:
            float32 (N, 3, H, W) in [0, 1].
        """
        if styles is None:
            styles = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        norms = self.norms()
        for norm in norms:
            norm.style = styles
        try:
            return super().forward(images)
        finally:
            for norm in norms:
                norm.style = None

    def norms(self) -> list[ConditionalInstanceNorm2d]:
        """All norms, in the order of the layers."""
        return [module for module in self.modules() if isinstance(module, ConditionalInstanceNorm2d)]

    def layer_groups(self) -> list[list[nn.Module]]:
        """Two groups: the convolutions that all styles share (the body), and the scales and shifts of the styles."""
        body = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        return [list[nn.Module](body), list[nn.Module](self.norms())]

    def fixed(self, blend: Mapping[str, float]) -> StyleResnet:
        """Returns a network of one style: scales and shifts are the weighted mean of those of several styles.

        Args:
            blend: weights by the name of the style; they are divided by their sum.

        Raises:
            ValueError: if a name is unknown, or the sum is not above 0.
        """
        if unknown := [name for name in blend if name not in self.styles]:
            raise ValueError(f"unknown style '{unknown[0]}': the network has {', '.join(self.styles)}")
        total = sum(blend.values())
        if not total > 0:
            raise ValueError(f"the weights of a blend must have a sum above 0, not {total:g}")
        weights = [blend.get(name, 0.0) / total for name in self.styles]
        net = deepcopy(self)
        _replace_norms_(net, ConditionalInstanceNorm2d, lambda norm: norm.blended(weights))
        device = next(self.parameters()).device
        plain = self._plain().to(device)
        plain.load_state_dict(net.state_dict())
        return plain.train(self.training)


def blend_name(blend: Mapping[str, float]) -> str:
    """Names a blend of styles.

    >>> blend_name({"wave": 1.0}), blend_name({"wave": 0.7, "udnie": 0.3})
    ('wave', 'wave:0.7,udnie:0.3')
    """
    return ",".join(name if len(blend) == 1 else f"{name}:{weight:g}" for name, weight in blend.items())


def _replace_norms_(net: nn.Module, kind: type[Norm], make: Callable[[Norm], nn.Module]) -> None:
    """Replaces all layers of a kind, in place."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                setattr(parent, name, make(child))


def fix_style(net: nn.Module, blend: Mapping[str, float]) -> tuple[nn.Module, tuple[str, ...]]:
    """Returns the network of one style of a network of many, or of a blend of several, and the name of the result.

    Args:
        net: the network of many styles.
        blend: weights by the name of the style.

    Raises:
        ValueError: if the network has one style only, a name is unknown, or the sum of the weights is not above 0.
    """
    if not isinstance(net, MultiStyleResnet):
        raise ValueError("the network has one style")
    return net.fixed(blend), (blend_name(blend),)
