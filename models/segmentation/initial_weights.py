"""Starts a segmentation network from the weights of another: other classes, channels, or another library."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from models.segmentation.encoder import Encoder
from models.weights.inflate import inflate_channels
from models.weights.partial_load import Adapter, PartialLoad, load_matching_


def load_initial_(
    net: nn.Module, weights: Mapping[str, Tensor], *, classes: Sequence[str], given_classes: Sequence[str] | None
) -> PartialLoad:
    """Loads every tensor of ``weights`` that fits into ``net``, in place.

    Besides tensors of the same name and shape (``load_matching_``), these fit:

    - the encoder of torchvision's classifier, or of segmentation_models.pytorch where it names the layers in the same
      way (``encoder.conv1``, ``encoder.features.0``);
    - of a head for other classes, the rows of the classes with the same names. A head with as many classes, none of
      which has the same name, is taken whole: the classes were renamed;
    - the first convolutions of a network for RGB images, see ``inflate_channels``.

    Args:
        net: the network; one without ``encoder`` and ``head`` takes tensors of the same name and shape only.
        weights: tensors by name.
        classes: the classes of ``net``, in order.
        given_classes: the classes of ``weights``; ``None`` if they are not known.

    Raises:
        WeightsError: see ``load_matching_``.
    """
    encoder = getattr(net, "encoder", None)
    aliases: dict[str, str] = {}
    adapters: dict[str, Adapter] = {}
    if isinstance(encoder, Encoder):
        names = encoder.torchvision_names()
        aliases |= {prefix + name: f"encoder.{own}" for name, own in names.items() for prefix in ("", "encoder.")}
        adapters |= dict.fromkeys(_first_convolutions(net), _inflated)
    if given_classes is not None:
        adapters |= {name: _class_rows(given_classes, classes, axis) for name, axis in _head_axes(net).items()}
    return load_matching_(net, weights, aliases=aliases, adapters=adapters)


def _first_convolutions(net: nn.Module) -> list[str]:
    """Names of the kernels that are applied to the image: of the encoder, and of the U-Net's skip from the image."""
    first = []
    for part in ("encoder.", "image."):
        names = (
            name for name, module in net.named_modules() if name.startswith(part) and isinstance(module, nn.Conv2d)
        )
        first += [f"{name}.weight" for name in [next(names, None)] if name]
    return first


def _head_axes(net: nn.Module) -> dict[str, int]:
    """The axis of the classes in the tensors of the head."""
    head = getattr(net, "head", None)
    if isinstance(head, nn.ConvTranspose2d):
        return {"head.weight": 1, "head.bias": 0}
    return {"head.weight": 0, "head.bias": 0} if isinstance(head, nn.Conv2d) else {}


def _inflated(given: Tensor, own: Tensor) -> tuple[Tensor, str] | None:
    if given.ndim != 4 or given.shape[1] != 3 or own.shape[1] == 3:
        return None
    return inflate_channels(given.float(), own.shape[1]), f"from 3 channels to {own.shape[1]}"


def _class_rows(given: Sequence[str], wanted: Sequence[str], axis: int) -> Adapter:
    """Makes an adapter that copies the rows of the classes whose names are in both lists."""
    shared = [name for name in wanted if name in given]

    def adapt(tensor: Tensor, own: Tensor) -> tuple[Tensor, str] | None:
        rows = own.shape[axis] // len(wanted)  # several per class where the head outputs the pixels of a patch
        expected = [side if index != axis else rows * len(given) for index, side in enumerate(own.shape)]
        if list(given) == list(wanted) or not shared or list(tensor.shape) != expected:
            return None
        adapted = own.clone()
        for name in shared:
            source = tensor.narrow(axis, rows * given.index(name), rows)
            adapted.narrow(axis, rows * wanted.index(name), rows).copy_(source)
        new = [name for name in wanted if name not in given]
        return adapted, f"rows of {', '.join(shared)}" + (f"; new: {', '.join(new)}" if new else "")

    return adapt
