"""Averages segmentation networks of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

from experiments.cli.usage import UsageError
from experiments.runs.checkpoint import load_checkpoint
from experiments.runs.folder import relative_to_here
from experiments.runs.trained_module import build_module
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.ensemble import SegmentationEnsemble


def average_checkpoints_(module: SegmentationModule, checkpoints: Sequence[Path], *, trust_config: bool) -> None:
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
        other = build_module(load_checkpoint(path, "segment"), trust_config=trust_config)
        if not isinstance(other, SegmentationModule) or other.classes != module.classes:
            raise UsageError(
                f"{relative_to_here(path)} finds {', '.join(other.classes)}, and not {', '.join(module.classes)}: "
                "networks of the same classes can be averaged"
            )
        nets.append(other.net)
    module.net = SegmentationEnsemble(nets, one_class=len(module.classes) == 1).train(module.training)
