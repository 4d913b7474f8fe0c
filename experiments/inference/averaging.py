"""Averages segmentation networks of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Union

from experiments.cli.usage import UsageError
from experiments.inference.building import build_network
from experiments.inference.networks import SegmentationNetwork
from experiments.runs.checkpoint import load_checkpoint
from experiments.runs.folder import relative_to_here
from models.segmentation.ensemble import SegmentationEnsemble

if TYPE_CHECKING:
    from lightning_modules.segmentation import SegmentationModule


def average_checkpoints_(
    module: Union["SegmentationModule", SegmentationNetwork], checkpoints: Sequence[Path], *, trust_config: bool
) -> None:
    """Replaces the network of ``module`` by the mean of itself and those of more checkpoints.

    Every network sees the image at the size of the first one, and may be of any architecture.

    Args:
        module: changed in place.
        checkpoints: files with networks of the same classes.
        trust_config: whether they may name classes of any package.

    Raises:
        CheckpointError: if a file cannot be read or is of another task.
        UsageError: if its classes are others.
    """
    nets = [module.net]
    for path in checkpoints:
        other = build_network(load_checkpoint(path, "segment"), trust_config=trust_config)
        if not isinstance(other, SegmentationNetwork):
            raise TypeError(f"{type(other).__name__} is no {SegmentationNetwork.__name__}")
        if other.classes != module.classes:
            raise UsageError(
                f"{relative_to_here(path)} finds {', '.join(other.classes)}, and not {', '.join(module.classes)}: "
                "networks of the same classes can be averaged"
            )
        nets.append(other.net)
    module.net = SegmentationEnsemble(nets, one_class=len(module.classes) == 1).train(module.training)
