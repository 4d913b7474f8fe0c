"""``--init_from`` for super-resolution and style: every tensor that fits is taken from a file of ours or of others."""

from collections.abc import Collection
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from experiments.runs.folder import relative_to_here
from lightning_modules.base import ImageTask
from models.weights.partial_load import load_matching_
from models.weights.pretrained import WeightsError, read_state_dict


def start_from(module: ImageTask, path: Path) -> Collection[str]:
    """Takes what fits from ``path`` and prints an account of every tensor.

    Args:
        module: a new module, changed in place.
        path: a checkpoint of Darkroom, a state dict, or one as BasicSR and DDP store it.

    Returns:
        Names of the module's tensors that were taken.

    Raises:
        WeightsError: if the file cannot be read, or nothing in it fits.
    """
    net: nn.Module = module.net
    try:
        done = load_matching_(net, read_state_dict(path))
    except WeightsError as error:
        raise WeightsError(f"--init_from {path}: {error}") from error
    say = rank_zero_only(print)
    say(f"weights from {relative_to_here(path)}:\n{done.account()}")
    return [f"net.{name}" for name in done.taken]
