"""Images to the probabilities of classes, by a network that returns logits."""

from torch import Tensor, nn

from models.segmentation.tiles import Tiles, unit_floats
from models.tiled_inference import tiled_inference


def to_probabilities(logits: Tensor, *, one_class: bool) -> Tensor:
    """Converts logits ``(N, C, H, W)`` of any precision to float32 probabilities: sigmoid or softmax."""
    return logits.float().sigmoid() if one_class else logits.float().softmax(dim=1)


def segment(net: nn.Module, image: Tensor, *, one_class: bool, flip: bool) -> Tensor:
    """Applies a network to images as a whole.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``.
        image: ``(N, 3, H, W)`` RGB: float in [0, 1], or uint8.
        one_class: whether ``C`` is 1, a class against background.
        flip: average with the mirrored image.

    Returns:
        float32 probabilities ``(N, C, H, W)``.
    """
    image = unit_floats(image)
    probs = to_probabilities(net(image), one_class=one_class)
    if flip:
        probs = (probs + to_probabilities(net(image.flip(-1)), one_class=one_class).flip(-1)) / 2
    return probs


def segment_tiled(net: nn.Module, image: Tensor, tiles: Tiles | None, *, one_class: bool, flip: bool) -> Tensor:
    """Applies a network to images, in tiles if ``tiles`` says how; otherwise as ``segment``.

    Args:
        net: see ``segment``.
        image: see ``segment``; N is 1 with tiles.
        tiles: of ``choose_tiles``.
        one_class: see ``segment``.
        flip: see ``segment``.
    """
    if tiles is None:
        return segment(net, image, one_class=one_class, flip=flip)
    return tiled_inference(lambda part: segment(net, part, one_class=one_class, flip=flip), image, **tiles._asdict())
