"""Freezing and learning rates, written in terms of a net's layer groups and of nothing else."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@runtime_checkable
class LayerGroups(Protocol):
    """A net that says what its layer groups are, from the input outwards."""

    def layer_groups(self) -> list[list[nn.Module]]:
        """Returns modules so that every parameter is in exactly one group."""
        ...


def frozen_count(groups: int, frozen: int | Literal["encoder"]) -> int:
    """Counts the leading groups that stand still.

    Args:
        groups: how many groups the net has.
        frozen: a number of groups from the input, or ``"encoder"`` for all but the last.

    Raises:
        ValueError: if nothing would be left to train.

    >>> frozen_count(3, "encoder"), frozen_count(3, 1), frozen_count(3, 0)
    (2, 1, 0)
    """
    count = groups - 1 if frozen == "encoder" else frozen
    if not 0 <= count < groups:
        raise ValueError(f"frozen={frozen!r} leaves nothing to train: the net has {groups} layer groups")
    return count


def freeze_(groups: Sequence[Sequence[nn.Module]], count: int) -> None:
    """Stops the gradients of the first ``count`` groups and lets those of all others flow, in place."""
    for number, group in enumerate(groups):
        for module in group:
            module.requires_grad_(number >= count)


def eval_batch_norm_(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Puts the batch norms of ``groups`` into eval mode, so that they keep their statistics, in place."""
    for module in _modules(groups):
        if isinstance(module, _BatchNorm):
            module.eval()


def eval_(groups: Sequence[Sequence[nn.Module]]) -> None:
    """Puts ``groups`` into eval mode (batch norm, dropout, stochastic depth), in place."""
    for group in groups:
        for module in group:
            module.eval()


def param_groups(
    groups: Sequence[Sequence[nn.Module]], *, lr: float, lr_scale: Sequence[float] | None
) -> list[dict[str, Any]]:
    """Writes an optimiser's parameter groups: one for every layer group that trains, each with its peak rate.

    Args:
        groups: the net's layer groups, from the input outwards.
        lr: peak rate of a group whose factor is 1.
        lr_scale: a factor for every layer group, frozen ones too; ``None`` is 1 for all.

    Returns:
        Dicts with ``params``, ``lr`` and ``name`` (``group0`` is nearest to the input).

    Raises:
        ValueError: if ``lr_scale`` does not name a factor for every group.
    """
    scales = [1.0] * len(groups) if lr_scale is None else list(lr_scale)
    if len(scales) != len(groups):
        raise ValueError(f"lr_scale has {len(scales)} factors and the net {len(groups)} layer groups: one for each")
    found = []
    for number, (group, scale) in enumerate(zip(groups, scales, strict=True)):
        params = [p for module in group for p in module.parameters() if p.requires_grad]
        if params:
            found.append({"params": params, "lr": lr * scale, "name": f"group{number}"})
    return found


def _modules(groups: Sequence[Sequence[nn.Module]]) -> Iterator[nn.Module]:
    for group in groups:
        for module in group:
            yield from module.modules()
