"""Trained networks without Lightning: what of a task's module is needed to apply it to images."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from datamodules.stage import Stage
from experiments.tasks.links import SEGMENT_LINKS, STYLE_LINKS, Link
from models.segmentation.probabilities import segment_tiled
from models.segmentation.tiles import choose_tiles
from models.style.multi_style_resnet import MultiStyleResnet, fix_style
from models.super_resolution.self_ensemble import self_ensemble
from models.tiled_network import restoration_tiling, run_tiled, style_tiling


class InferenceNetwork(nn.Module):
    """Base class: a network whose weights have the names that they have in the module.

    The arguments of the subclasses are those of the same name of the task's module.

    Args:
        net: the network.
        channels_last: store the weights in channels-last order.

    Attributes:
        links: recorded values that are copied to the arguments.
        classes: names of the classes; empty for tasks without classes.
        scale: how many times larger the result is than the image.
    """

    links: ClassVar[tuple[Link, ...]] = ()
    classes: tuple[str, ...] = ()

    def __init__(self, *, net: nn.Module, channels_last: bool) -> None:
        super().__init__()
        self.net: nn.Module = net.to(memory_format=torch.channels_last) if channels_last else net

    @property
    def scale(self) -> int:
        """How many times larger the result is than the image."""
        return 1

    def set_stage(self, stage: Stage) -> None:
        """Adapts the network to the stage in which it was saved; by default there is nothing to do."""


class SegmentationNetwork(InferenceNetwork):
    """Maps images to the probabilities of classes; see ``SegmentationInference`` for the arguments."""

    links = SEGMENT_LINKS

    def __init__(
        self,
        *,
        net: nn.Module,
        classes: tuple[str, ...] = ("car",),
        threshold: float = 0.5,
        flip: bool = False,
        tile: int | Literal["auto", "none"] = "auto",
        channels_last: bool = False,
    ) -> None:
        super().__init__(net=net, channels_last=channels_last)
        self.classes, self.threshold, self.flip, self.tile = tuple(classes), threshold, flip, tile
        self._train_size: int | None = None

    def set_stage(self, stage: Stage) -> None:
        """Notes the size of the training images, to which large images are compared."""
        self._train_size = stage.train_size

    def forward(self, image: Tensor) -> Tensor:
        """Maps images ``(N, 3, H, W)``, float in [0, 1] or uint8, to float32 probabilities ``(N, C, H, W)``."""
        tiles = choose_tiles(max(image.shape[2:]), tile=self.tile, train_size=self._train_size)
        return segment_tiled(self.net, image, tiles, one_class=len(self.classes) == 1, flip=self.flip)


class SuperResolutionNetwork(InferenceNetwork):
    """Enlarges or restores an image; see ``SuperResolutionModule`` for the arguments."""

    def __init__(self, *, net: nn.Module, ensemble: bool = False, channels_last: bool = False) -> None:
        super().__init__(net=net, channels_last=channels_last)
        self.ensemble = ensemble

    @property
    def scale(self) -> int:
        """Magnification in use."""
        net: Any = self.net  # attributes of nn.Module are not typed
        return int(net.active_scale)

    def set_stage(self, stage: Stage) -> None:
        """Sets the magnification of ``stage``.

        Raises:
            ValueError: if the network does not support it.
        """
        net: Any = self.net
        net.active_scale = stage.scale

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image as ``run_tiled`` does."""
        return run_tiled(self.net, self._run, image, restoration_tiling(self.net, scale=self.scale))

    def _run(self, images: Tensor) -> Tensor:
        result: Tensor = self_ensemble(self.net, images) if self.ensemble else self.net(images)
        return result


class StyleNetwork(InferenceNetwork):
    """Renders an image in a style; see ``StyleModule`` for the arguments."""

    links = STYLE_LINKS

    def __init__(
        self, *, net: nn.Module, tile: int = 1024, styles: Sequence[str] = (), channels_last: bool = False
    ) -> None:
        super().__init__(net=net, channels_last=channels_last)
        self.styles = tuple(styles)
        given: Any = net
        self._tiling = style_tiling(tile=tile, reach=given.reach, multiple=given.multiple)

    @property
    def many_styles(self) -> MultiStyleResnet | None:
        """The network if it is one of many styles."""
        return self.net if isinstance(self.net, MultiStyleResnet) else None

    def fix_style(self, blend: Mapping[str, float]) -> None:
        """Keeps one style, or a blend of several; see ``fix_style`` of ``models/style/multi_style_resnet.py``."""
        self.net, self.styles = fix_style(self.net, blend)

    def forward(self, image: Tensor) -> Tensor:
        """Maps an image as ``run_tiled`` does."""
        return run_tiled(self.net, self.net, image, self._tiling)
