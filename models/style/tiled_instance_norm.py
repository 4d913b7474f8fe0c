"""Instance norm for images in tiles: all tiles of an image get one contrast."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TiledInstanceNorm2d(nn.InstanceNorm2d):
    """Instance norm (Ulyanov et al. 2016, arXiv:1607.08022) with a learnt scale and shift, which tiles can share.

    Used by itself it is torch's: every image of a batch is brought to its own mean and variance. Pieces of one
    image would each be brought to theirs, and a flat sky to the contrast of a crowd; see ``shared_statistics``.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=True)
        self.measuring = False
        self.held: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, channels, h, w) to the same shape."""
        if self.held is None:
            if self.measuring:
                var, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
                self.held = mean, var
            return super().forward(x)
        return F.batch_norm(x, *self.held, self.weight, self.bias, training=False, eps=self.eps)


@contextmanager
def shared_statistics(net: nn.Module, run: Callable[[Tensor], Tensor], whole: Tensor, *, side: int) -> Iterator[None]:
    """Lets instance norm treat all tiles of an image alike, for as long as the ``with`` block lasts.

    The image is made smaller and goes through the network; each norm keeps mean and variance of what it meets. That
    images have much the same statistics at all sizes (Field 1987) is what this rests on: the result is near that
    of the whole image, not the same, and has no seams. A network without instance norm is left alone.

    Args:
        net: in eval mode.
        run: sends what is cut from ``whole`` through ``net``.
        whole: (1, C, H, W), of any type that ``run`` takes; floats of its range go through ``run`` too.
        side: its longer side when it is measured, in pixels.
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
            norm.measuring, norm.held = False, None
