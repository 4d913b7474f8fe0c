"""Layer groups of a network: freezing, eval mode and discriminative learning rates."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@runtime_checkable
class LayerGroups(Protocol):
    """A net with layer groups, ordered from the input to the output."""

    def layer_groups(self) -> list[list[nn.Module]]:
        """Returns the modules of each group; every parameter is in exactly one group."""
        ...


def frozen_count(groups: int, frozen: int | Literal["encoder", "body"]) -> int:
    """Returns the number of leading groups that are frozen.

    Args:
        groups: number of layer groups of the net.
        frozen: number of groups from the input, or ``"encoder"`` or ``"body"`` for all but the last.

    Raises:
        ValueError: if no group would be trained.

    >>> frozen_count(3, "encoder"), frozen_count(3, 1), frozen_count(3, 0)
    (2, 1, 0)
    """
    count = groups - 1 if isinstance(frozen, str) else frozen
    if not 0 <= count < groups:
        raise ValueError(f"frozen={frozen!r} leaves nothing to train: the net has {groups} layer groups")
    return count


def frozen_bn_count(groups: int, frozen_bn: bool | Literal["all", "encoder"]) -> int:
    """Returns the number of leading groups whose batch norms keep their running statistics.

    Args:
        groups: number of layer groups of the net.
        frozen_bn: ``"all"``, ``"encoder"`` or true for all but the last group, or false for none.

    >>> [frozen_bn_count(3, which) for which in ("all", "encoder", True, False)]
    [3, 2, 2, 0]
    """
    if frozen_bn == "all":
        return groups
    return groups - 1 if frozen_bn else 0


def check_groups(groups: int, *, frozen: int | Literal["encoder", "body"], lr_scale: Sequence[float] | None) -> None:
    """Checks that a net with ``groups`` layer groups can be trained with ``frozen`` and ``lr_scale``.

    Raises:
        ValueError: if no group would be trained, or ``lr_scale`` does not have one factor for each group.
    """
    frozen_count(groups, frozen)
    if lr_scale is not None and len(lr_scale) != groups:
        raise ValueError(f"lr_scale has {len(lr_scale)} factors and the net {groups} layer groups: one for each")


def freeze_(groups: Sequence[Sequence[nn.Module]], count: int) -> None:
    """Freezes the parameters of the first ``count`` groups and unfreezes all others, in place."""
    for number, group in enumerate(groups):
        for module in group:
            module.requires_grad_(number >= count)


def eval_batch_norm_(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Sets the batch norms of ``groups`` to eval mode, so that they keep their running statistics, in place."""
    for module in _modules(groups):
        if isinstance(module, _BatchNorm):
            module.eval()


def eval_(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Sets ``groups`` to eval mode (batch norm, dropout, stochastic depth), in place."""
    for group in groups:
        for module in group:
            module.eval()


def param_groups(
    groups: Sequence[Sequence[nn.Module]], *, lr: float, lr_scale: Sequence[float] | None
) -> list[dict[str, Any]]:
    """Returns the parameter groups of an optimizer, one for each layer group with trainable parameters.

    Args:
        groups: layer groups of the net, from input to output.
        lr: peak learning rate of a group with factor 1.
        lr_scale: factor for every layer group, including frozen ones; ``None`` is 1 for all.

    Returns:
        Dictionaries with ``params``, ``lr`` and ``name`` (``group0`` is nearest to the input).

    Raises:
        ValueError: if ``lr_scale`` does not have one factor for each group.
    """
    check_groups(len(groups), frozen=0, lr_scale=lr_scale)
    scales = [1.0] * len(groups) if lr_scale is None else lr_scale
    param_dicts = []
    for number, (group, scale) in enumerate(zip(groups, scales, strict=True)):
        params = [p for module in group for p in module.parameters() if p.requires_grad]
        if params:
            param_dicts.append({"params": params, "lr": lr * scale, "name": f"group{number}"})
    return param_dicts


def _modules(groups: Sequence[Sequence[nn.Module]]) -> Iterator[nn.Module]:
    for group in groups:
        for module in group:
            yield from module.modules()
