"""Partial loading: weights of one network into a similar one, with a report on every tensor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from models.weights.pretrained import WeightsError

#: Prefixes that wrappers add to the names of tensors: DDP and DataParallel, Lightning modules, torch.compile.
WRAPPERS = ("module.", "net.", "model.", "_orig_mod.")

#: Takes a tensor of the file and the tensor of the net, and returns what the net gets, with a remark for the report;
#: ``None`` if the tensor cannot be used.
Adapter = Callable[[Tensor, Tensor], tuple[Tensor, str] | None]


@dataclass(frozen=True)
class PartialLoad:
    """Report on every tensor of a partial load.

    Attributes:
        loaded: names in the net that were loaded.
        unused: names in the given weights that were not used, each with the reason.
        kept: names in the net that keep their initial values.
        shapes: shapes of all tensors of the net, by name.
        remarks: how tensors were adapted before they were loaded, by name in the net.
    """

    loaded: tuple[str, ...]
    unused: Mapping[str, str]
    kept: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    remarks: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Lists the tensors, one per line, under up to three headings."""
        lines = []
        for heading, names in (("loaded", self.loaded), ("kept as initialized", self.kept)):
            if names:
                lines.append(f"{heading}: {_count(names)}")
                lines += [f"  {name} {_shape_text(self.shapes[name])}{self._remark(name)}" for name in names]
        if self.unused:
            lines.append(f"not used from the file: {_count(self.unused)}")
            lines += [f"  {name}: {why}" for name, why in self.unused.items()]
        return "\n".join(lines)

    def _remark(self, name: str) -> str:
        return f" ({self.remarks[name]})" if name in self.remarks else ""


@torch.no_grad()
def load_matching_(
    net: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    aliases: Mapping[str, str] | None = None,
    adapters: Mapping[str, Adapter] | None = None,
) -> PartialLoad:
    """Loads every tensor of ``weights`` that fits into ``net``, in place; all others keep their values.

    A tensor fits if name, shape and kind (floating point or not) agree. Names may have one or more of the prefixes of
    wrappers (``WRAPPERS``). If an error is raised, nothing was changed.

    Args:
        net: for example a 4x network that starts from 2x weights.
        weights: tensors by name.
        aliases: names of the net's tensors by the names that other libraries give them.
        adapters: make tensors fit that differ, by name in the net.

    Returns:
        A report on all tensors.

    Raises:
        WeightsError: no tensor fits, or a tensor that fits contains NaN or infinity.
    """
    own = net.state_dict()
    loaded: dict[str, Tensor] = {}
    unused: dict[str, str] = {}
    remarks: dict[str, str] = {}
    names = {name: name for name in own} | {alias: name for alias, name in (aliases or {}).items() if alias not in own}
    for given, given_tensor in weights.items():
        name, tensor = names.get(_unwrapped(given, names), ""), given_tensor
        if name in (adapters or {}) and (adapted := (adapters or {})[name](tensor, own[name])):
            tensor, remarks[name] = adapted
        if name not in own:
            unused[given] = "the net has no such tensor"
        elif name in loaded:
            unused[given] = f"the file has {name} twice"
        elif tensor.shape != own[name].shape:
            unused[given] = f"{_shape_text(tensor.shape)} in the file, {_shape_text(own[name].shape)} in the net"
        elif tensor.is_floating_point() != own[name].is_floating_point():
            unused[given] = f"{tensor.dtype} in the file, {own[name].dtype} in the net"
        elif not tensor.isfinite().all():
            raise WeightsError(f"the weights are damaged: {given!r} contains NaN or infinity")
        else:
            loaded[name] = tensor
    if not loaded:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(unused.items())[:3])
        raise WeightsError(f"none of the {len(weights)} tensors fits {type(net).__name__} ({reasons})")
    for name, tensor in loaded.items():
        own[name].copy_(tensor)
    return PartialLoad(
        loaded=tuple(name for name in own if name in loaded),
        unused=unused,
        kept=tuple(name for name in own if name not in loaded),
        shapes={name: tuple(tensor.shape) for name, tensor in own.items()},
        remarks={name: remark for name, remark in remarks.items() if remark},
    )


def _unwrapped(name: str, known: Mapping[str, str]) -> str:
    """Strips prefixes of wrappers until ``known`` has the name, or no prefix remains."""
    while name not in known:
        wrapper = next((prefix for prefix in WRAPPERS if name.startswith(prefix)), None)
        if wrapper is None:
            break
        name = name.removeprefix(wrapper)
    return name


def _shape_text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape) or "one number"


def _count(names: Mapping[str, str] | tuple[str, ...]) -> str:
    return f"{len(names)} tensor" + "s" * (len(names) != 1)
