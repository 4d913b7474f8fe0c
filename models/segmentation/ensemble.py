"""Several segmentation networks, at several scales of the image, as one network."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from models.segmentation.blocks import resize_probs

_SMALLEST = 1e-7  # probability; keeps the logits finite


class SegmentationEnsemble(nn.Module):
    """Averages the probabilities of networks and scales, and returns them as logits.

    Args:
        nets: map images ``(N, 3, H, W)`` to logits ``(N, C, H, W)`` of the same classes.
        scales: factors on the sides of the image, 1 for its own size.
        one_class: whether the logits are those of one class (sigmoid) and not of several (softmax).

    Raises:
        ValueError: if there is no network, or a scale is not above 0 and at most 4.
    """

    def __init__(self, nets: Sequence[nn.Module], *, scales: Sequence[float] = (1.0,), one_class: bool) -> None:
        super().__init__()
        if not nets:
            raise ValueError("an ensemble needs at least one network")
        if not scales or not all(0 < scale <= 4 for scale in scales):
            raise ValueError(f"scales must be above 0 and at most 4, not {list(scales)}")
        self.nets = nn.ModuleList(nets)
        self.scales, self.one_class = tuple(scales), one_class

    def forward(self, image: Tensor) -> Tensor:
        """Returns the logits ``(N, C, H, W)``, float32, of the mean probabilities."""
        size = (image.shape[-2], image.shape[-1])
        total: Tensor | None = None
        for scale in self.scales:
            scaled = _resize(image, scale)
            for net in self.nets:
                logits = net(scaled).float()
                probs = resize_probs(logits.sigmoid() if self.one_class else logits.softmax(dim=1), size)
                total = probs if total is None else total + probs
        if total is None:
            raise RuntimeError("the ensemble has no network")
        mean = total / (len(self.scales) * len(self.nets))
        return mean.logit(eps=_SMALLEST) if self.one_class else mean.clamp(min=_SMALLEST).log()

    def layer_groups(self) -> list[list[nn.Module]]:
        """One group with all networks; an ensemble is not trained."""
        return [list(self.nets)]


def _resize(image: Tensor, scale: float) -> Tensor:
    """Resizes images, bilinear with antialiasing when shrinking."""
    if scale == 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[-2:])
    return F.interpolate(image, size=(height, width), mode="bilinear", align_corners=False, antialias=scale < 1)


def average_scales(net: nn.Module, scales: Sequence[float], *, one_class: bool) -> nn.Module:
    """Returns ``net``, or the ensemble that applies it at ``scales``.

    Raises:
        ValueError: if a scale is out of its range.
    """
    if list(scales) == [1]:
        return net
    nets = list(net.nets) if isinstance(net, SegmentationEnsemble) else [net]
    return SegmentationEnsemble(nets, scales=scales, one_class=one_class).train(net.training)
