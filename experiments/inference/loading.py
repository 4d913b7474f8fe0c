"""Loads trained networks for inference."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import torch

from callbacks.prediction.regions import cleaning_for
from datamodules.io.bit_depth import recorded_bits
from datamodules.io.home_folder import expand_home
from experiments.cli.usage import UsageError
from experiments.inference.averaging import average_checkpoints_
from experiments.inference.building import build_network
from experiments.inference.networks import SegmentationNetwork, StyleNetwork
from experiments.inference.predictor import Precision, Predictor
from experiments.inference.styles import choose_style
from experiments.networks import list_networks
from experiments.runs.checkpoint import load_checkpoint
from models.fold_batch_norm import fold_batch_norm_
from models.segmentation.ensemble import average_scales


def load(
    checkpoint: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    device: str | torch.device = "auto",
    precision: Precision = "32-true",
    scales: Sequence[float] = (1.0,),
    largest: int = 0,
    fill_holes: bool = False,
    min_area: int = 0,
    style: str | Mapping[str, float] | None = None,
    trust_config: bool = False,
) -> Predictor:
    """Loads a trained network for inference. Writes no files, needs no configuration and no data.

    Args:
        checkpoint: a checkpoint of a run, for example ``runs/segment/sample/checkpoints/best.ckpt``; a safetensors
            file of ``export``; or the name of a network that ships. Segmentation averages several of the same classes.
        device: as torch names it; ``"auto"`` takes an accelerator if there is one.
        precision: as ``--trainer.precision`` of the command line.
        scales: segmentation: sizes to average over, as factors of the network's size.
        largest: segmentation: number of the largest regions of a class to keep in the mask; 0 keeps all.
        fill_holes: segmentation: whether to fill holes of background inside of regions.
        min_area: segmentation: regions of fewer pixels of the image are removed.
        style: of a network of many styles: the name of one, a blend as ``--style`` takes it, or weights by name.
        trust_config: whether the checkpoint may name classes of other packages, whose code then runs.

    Raises:
        UsageError: if networks of other classes are to be averaged, or a style is missing or does not exist.
        CheckpointError: if the file is missing, damaged, none of Darkroom's, or its network cannot be built.
        ValueError: if device or precision is unknown, a scale is out of its range, or an option is not for this task.
    """
    first, *others = [checkpoint] if isinstance(checkpoint, str | PathLike) else checkpoint
    loaded = load_checkpoint(_checkpoint_path(first))
    network = build_network(loaded, trust_config=trust_config)
    task = str(loaded.record["task"])
    cleaning = None
    if isinstance(network, SegmentationNetwork):
        if others:
            average_checkpoints_(network, [_checkpoint_path(one) for one in others], trust_config=trust_config)
        network.net = average_scales(network.net, scales, one_class=len(network.classes) == 1)
        fold_batch_norm_(network.net)
        cleaning = cleaning_for(network.classes, largest=largest, fill_holes=fill_holes, min_area=min_area)
    elif others or largest or fill_holes or min_area or list(scales) != [1]:
        raise ValueError(f"several checkpoints, scales and regions are for segment, and this is a network of {task}")
    if isinstance(network, StyleNetwork):
        choose_style(network, style)
    elif style is not None:
        raise UsageError(f"style={style!r}: this is a network of {task}, not of style transfer")
    return Predictor(
        network,
        task=task,
        size=loaded.stage.size,
        whole=loaded.stage.crop is not None,
        device=device,
        precision=precision,
        cleaning=cleaning,
        bits=recorded_bits(loaded.record),
    )


def _checkpoint_path(named: str | PathLike[str]) -> Path:
    """A file, or that of a network that ships."""
    path = expand_home(named)
    network = next((one for one in list_networks() if one.name == str(named)), None)
    return network.path if network is not None and not path.exists() else path
