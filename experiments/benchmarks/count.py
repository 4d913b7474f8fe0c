"""Counts the cost of a recipe's training: operations per image, bytes of gradients and of images."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from datamodules.stage import Stage
from experiments.benchmarks.cost_model import Work
from experiments.cli.settings import Settings, read_settings
from experiments.runs.checkpoint import stage_from
from experiments.tasks.table import TASKS
from models.layer_groups import freeze_, frozen_count
from models.losses.vgg import VggFeatures


def recipe_work(task: str, recipe: str, stages: Sequence[str], *, images: int, validation: int) -> Iterator[Work]:
    """Counts the named stages of a recipe.

    Args:
        task: name of the task.
        recipe: name of the recipe.
        stages: names of stages.
        images: training images per epoch.
        validation: validation images per epoch.
    """
    settings = read_settings(TASKS[task].recipe_file(recipe))
    for plain in settings["stages"]:
        stage = stage_from(plain)
        if stage.name in stages:
            yield stage_work(task, settings, stage, images=images, validation=validation)


def stage_work(task: str, settings: Settings, stage: Stage, *, images: int, validation: int) -> Work:
    """Counts the cost of one stage on the meta device, without computing anything."""
    net: Any = build(settings["model"]["net"]).to("meta")
    scale = stage.scale or 1
    if stage.scale is not None:
        net.active_scale = stage.scale
    groups: list[list[nn.Module]] = net.layer_groups()
    freeze_(groups, frozen_count(len(groups), stage.frozen))
    vgg = loss_network(settings["model"].get("loss"))
    image = torch.empty(1, 3, stage.size, stage.size, device="meta")
    with FlopCounterMode(display=False) as counter:
        preds = net(image)
        outputs = [preds] if vgg is None else vgg(preds)
        torch.autograd.backward([output.mean() for output in outputs])
        if vgg is not None:
            with torch.no_grad():
                vgg(preds)  # features of the target or the content image
    trained = sum(p.numel() for group in groups for part in group for p in part.parameters() if p.requires_grad)
    target = {"segment": stage.size**2, "sr": 3 * (stage.size * scale) ** 2, "style": 0}[task]
    return Work(
        name=f"{task} {stage.name}",
        images=images,
        validation=validation,
        batch=stage.batch_size,
        operations=counter.get_total_flops(),
        gradient=4 * trained,
        image=3 * stage.size**2 + target,
    )


def build(spec: Settings) -> nn.Module:
    """Builds a recipe's network with random weights."""
    module, _, name = spec["class_path"].rpartition(".")
    arguments: dict[str, Any] = dict(spec.get("init_args", {}))
    if "pretrained" in arguments:
        arguments["pretrained"] = "none"
    net: nn.Module = getattr(import_module(module), name)(**arguments)
    return net.train()


def loss_network(spec: Settings | None) -> VggFeatures | None:
    """The VGG of a recipe's perceptual or style loss, or ``None``."""
    arguments = (spec or {}).get("init_args", {})
    if "layers" not in arguments:
        return None
    return VggFeatures(name=arguments["name"], layers=arguments["layers"], weights="none").to("meta")
