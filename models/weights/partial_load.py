"""Weights from one net into another that is not quite the same, with an account of every tensor."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.weights.pretrained import WeightsError

#: What wrappers put before a tensor's name: DDP and DataParallel, Lightning modules, torch.compile.
WRAPPERS = ("module.", "net.", "model.", "_orig_mod.")


@dataclass(frozen=True)
class PartialLoad:
    """What became of every tensor.

    Attributes:
        taken: names in the net that were given a value.
        left: names in the given weights that were not used, each with the reason.
        new: names in the net that keep the value they had.
        shapes: of all tensors of the net, by name.
    """

    taken: tuple[str, ...]
    left: Mapping[str, str]
    new: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def account(self) -> str:
        """Lists the tensors, one a line, under three headings; a heading without tensors is left out."""
        lines = []
        for heading, names in (("taken", self.taken), ("new, as the net was started", self.new)):
            if names:
                lines.append(f"{heading}: {_counted(names)}")
                lines += [f"  {name} {_words(self.shapes[name])}" for name in names]
        if self.left:
            lines.append(f"left in the file: {_counted(self.left)}")
            lines += [f"  {name}: {why}" for name, why in self.left.items()]
        return "\n".join(lines)


@torch.no_grad()
def load_matching_(net: nn.Module, weights: Mapping[str, Tensor]) -> PartialLoad:
    """Takes every tensor of ``weights`` that fits into ``net``, in place; the others stay as they are.

    A tensor fits when name, shape and kind (floating point or not) agree. Names may carry the prefixes of wrappers
    (``WRAPPERS``), several of them too. Nothing is changed when an error is raised.

    Args:
        net: for example a 4x net that is to start from 2x weights.
        weights: tensors by name.

    Returns:
        What was taken, left and new.

    Raises:
        WeightsError: no tensor fits, or one that does holds numbers that are not finite.
    """
    own = net.state_dict()
    taken: dict[str, Tensor] = {}
    left: dict[str, str] = {}
    for given, tensor in weights.items():
        name = _unwrapped(given, own)
        if name not in own:
            left[given] = "the net has no such tensor"
        elif name in taken:
            left[given] = f"the file has {name} twice"
        elif tensor.shape != own[name].shape:
            left[given] = f"{_words(tensor.shape)} in the file, {_words(own[name].shape)} in the net"
        elif tensor.is_floating_point() != own[name].is_floating_point():
            left[given] = f"{tensor.dtype} in the file, {own[name].dtype} in the net"
        elif not tensor.isfinite().all():
            raise WeightsError(f"the weights are damaged: {given!r} holds numbers that are not finite")
        else:
            taken[name] = tensor
    if not taken:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:3])
        raise WeightsError(f"none of the {len(weights)} tensors fits {type(net).__name__} ({reasons})")
    for name, tensor in taken.items():
        own[name].copy_(tensor)
    return PartialLoad(
        taken=tuple(name for name in own if name in taken),
        left=left,
        new=tuple(name for name in own if name not in taken),
        shapes={name: tuple(tensor.shape) for name, tensor in own.items()},
    )


def _unwrapped(name: str, own: Mapping[str, Tensor]) -> str:
    """Strips wrappers until the net knows the name, or none is left."""
    while name not in own:
        wrapper = next((prefix for prefix in WRAPPERS if name.startswith(prefix)), None)
        if wrapper is None:
            break
        name = name.removeprefix(wrapper)
    return name


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape) or "one number"


def _counted(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return f"{len(names)} tensor" + "s" * (len(names) != 1)
