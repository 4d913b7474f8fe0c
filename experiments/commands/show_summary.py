"""``show --summary``: the layers of the network with their output shapes, and what each stage trains."""

from collections.abc import Sequence

import torch
from lightning.pytorch.utilities.model_summary.model_summary import ModelSummary

from datamodules.stage import Stage
from lightning_modules.base import ImageTask
from models.layer_groups import LayerGroups


def summary_text(model: ImageTask, stages: Sequence[Stage]) -> str:
    """Describes a network: a table of its layers with the shapes of an image of the first stage, and of its stages.

    Args:
        model: the module; its freezing is that of the last stage afterwards.
        stages: stages of the run, at least one.
    """
    channels = int(getattr(getattr(model.net, "encoder", None), "in_channels", 3))
    model.example_input_array = torch.zeros(1, channels, stages[0].size, stages[0].size)
    layers = str(ModelSummary(model, max_depth=-1))
    return "\n".join(
        [layers, f"\nlayer groups of {type(model.net).__name__}, from the input:", *_stages(model, stages)]
    )


def _stages(model: ImageTask, stages: Sequence[Stage]) -> list[str]:
    if not isinstance(model.net, LayerGroups):
        return ["  it has none"]
    groups = [[p for module in group for p in module.parameters()] for group in model.net.layer_groups()]
    sizes = [sum(parameter.numel() for parameter in group) for group in groups]
    lines = [f"  group {number}: {size:,} parameters" for number, size in enumerate(sizes)]
    for stage in stages:
        model.begin_stage(stage, steps=1)
        trained = [sum(parameter.numel() for parameter in group if parameter.requires_grad) for group in groups]
        frozen = ", ".join(str(number) for number, size in enumerate(trained) if size == 0 and sizes[number])
        lines.append(
            f"stage {stage.name}, {stage.size} px: trains {sum(trained):,} of {sum(sizes):,} parameters"
            + (f"; frozen: group {frozen}" if frozen else "")
        )
    return lines
