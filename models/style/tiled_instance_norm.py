"""Instance norm for tiled inference: all tiles share the statistics of the whole image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TiledInstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm (Ulyanov et al. 2016, arXiv:1607.08022) with learned scale and shift and optional fixed statistics.

    Without ``shared_statistics`` it computes what torch's does: each image is normalized by its own mean and variance.

    Args:
        channels: channels of the feature maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)
        self.measuring = False
        self.statistics: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, h, w) to the same shape."""
        if self.statistics is None:
            if self.measuring:
                var, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
                self.statistics = mean, var
            return instance_norm(x, self.weight, self.bias, eps=self.eps)
        return F.batch_norm(x, *self.statistics, self.weight, self.bias, training=False, eps=self.eps)


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor, *, eps: float) -> Tensor:
    """Instance norm with a scale and a shift for each channel, or for each channel of each image.

    On a CPU it runs as group norm with one group per channel, which is the same function; torch's instance norm there
    copies the scale of every image and takes 1.5 to 4 times as long.

    Args:
        x: (N, C, h, w).
        weight: (C,) or (N, C).
        bias: as ``weight``.
        eps: added to the variance.

    Returns:
        As ``x``.
    """
    number, channels = x.shape[:2]
    if weight.ndim == 2:  # all channels of all images as channels of one image
        flat = x.reshape(1, number * channels, *x.shape[2:])
        return instance_norm(flat, weight.flatten(), bias.flatten(), eps=eps).view_as(x)
    if x.device.type == "cpu":
        return F.group_norm(x, channels, weight, bias, eps)
    return F.instance_norm(x, weight=weight, bias=bias, eps=eps)


@contextmanager
def shared_statistics(net: nn.Module, run: Callable[[Tensor], Tensor], whole: Tensor, *, side: int) -> Iterator[None]:
    """Fixes the statistics of all instance norms to those of the downscaled whole image, inside a ``with`` block.

    With instance norm, per-tile statistics would make tiles differ in contrast. Image statistics are roughly
    scale-invariant (Field 1987), so those of the downscaled image approximate full-image normalization without visible
    seams. A network without instance norm is left unchanged.

    Args:
        net: in eval mode.
        run: applies ``net`` to a part of ``whole``.
        whole: (1, C, H, W), of any type that ``run`` accepts; it is called with floats of the same range.
        side: longer side in pixels of the downscaled image.
    """
    norms = [part for part in net.modules() if isinstance(part, TiledInstanceNorm2d)]
    try:
        if norms:
            shrink = side / max(whole.shape[2:])
            size = [max(1, round(length * shrink)) for length in whole.shape[2:]]
            for norm in norms:
                norm.measuring = True
            run(F.interpolate(whole.float(), size, mode="bilinear", antialias=True))
        yield
    finally:
        for norm in norms:
            norm.measuring, norm.statistics = False, None
