"""Texts and the layout of charts that TensorBoard shows besides the measurements."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from datamodules.stage import Stage

Scalar = bool | int | float | str

# Category -> chart -> (kind, regular expressions of tags), the format of SummaryWriter.add_custom_scalars.
LAYOUT: dict[str, dict[str, list[Any]]] = {
    "quality": {
        "loss": ["Multiline", [r"^train/loss$", r"^val/loss$"]],
        "PSNR in dB, result and bicubic": ["Multiline", [r"^val/(bicubic_)?psnr$"]],
        "SSIM, result and bicubic": ["Multiline", [r"^val/(bicubic_)?ssim$"]],
        "loss relative to the untouched image": ["Multiline", [r"^val/relative$"]],
        "validation scores": ["Multiline", [r"^val/(?!loss$|relative$|(bicubic_)?psnr$|(bicubic_)?ssim$)[^/]+$"]],
        "parts of the training loss": ["Multiline", [r"^train/loss/.+$"]],
        "parts of the validation loss": ["Multiline", [r"^val/loss/.+$"]],
        "IoU per class": ["Multiline", [r"^val/iou/.+$"]],
    },
    "progress": {
        "image size in pixels": ["Multiline", [r"^stage/size$"]],
        "stage": ["Multiline", [r"^stage/index$"]],
        "learning rate per layer group": ["Multiline", [r"^lr/.+$"]],
    },
    "speed": {
        "images per second": ["Multiline", [r"^speed/images_per_second$"]],
        "fraction of time spent waiting for data": ["Multiline", [r"^speed/data_wait_share$"]],
    },
}

GUIDE = """
| where | what |
|---|---|
| Custom Scalars | the main charts in three groups; set *smoothing* to 0 to see every step |
| `train/loss`, `val/loss` | loss of one training step, and mean over all validation images |
| `val/...` | scores of the whole validation set at the size of the stage; they jump where a stage begins |
| `stage/index`, `stage/size` | number of the stage (from 1) and size of its images in pixels |
| `lr/group0`, ... | learning rate of each layer group that is trained, from the input to the output |
| `speed/data_wait_share` | near 0: the network limits the speed; near 1: loading does, use more workers |
| Images, `figures/validation_...` | the same validation images every time, with the prediction |
| Images, `figures/worst_...` | the validation images with the worst scores of this epoch |
| Images, `figures/training_batch` | a training batch, drawn when a stage begins |
| Images, `figures/style_image` | style: the style image as the loss gets it |
| Images, `figures/precision_recall` | segmentation: precision and recall of validation pixels for every threshold |
| HParams | settings and best scores of this run; start TensorBoard in the folder above to compare runs |
"""

# Settings that do not decide how good a network gets.
_NOT_COMPARED = {"model.channels_last", "model.flip", "model.ensemble", "model.tile", "model.lpips"}
_COMPARED_DATA = ("root", "keep_pct")


def layout(tags: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """Selects the charts of the custom-scalars tab that will not stay empty.

    Args:
        tags: tags that are logged or will be.

    Returns:
        The argument of ``SummaryWriter.add_custom_scalars``.
    """
    known = list(tags)
    return {
        category: {
            title: chart for title, chart in charts.items() if any(re.match(p, tag) for p in chart[1] for tag in known)
        }
        for category, charts in LAYOUT.items()
    }


def stage_line(stage: Stage, index: int, count: int, epoch: int) -> str:
    """Describes in Markdown the stage that begins.

    Args:
        stage: the stage.
        index: its number, from 0.
        count: number of stages.
        epoch: the epoch that begins, from 0.
    """
    words = {0: "nothing frozen", "encoder": "encoder frozen", "body": "body frozen"}
    frozen = words.get(stage.frozen, f"{stage.frozen} layer groups frozen")
    augmented = "augmented" if stage.augment else "not augmented"
    return (
        f"**stage {index + 1} of {count}: {stage.name}** begins in epoch {epoch + 1}: {stage.size} px, "
        f"batches of {stage.batch_size}, {augmented}, {stage.epochs} epochs, peak rate {stage.lr:g}, {frozen}"
    )


def code_block(configuration: Mapping[str, Any]) -> str:
    """Formats a configuration as YAML in an indented Markdown block, which TensorBoard does not reflow."""
    text = yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.splitlines())


def hyperparameters(configuration: Mapping[str, Any], stages: Sequence[Stage]) -> dict[str, Scalar]:
    """Selects the settings by which runs are compared: stages, network, loss, data set and seed.

    Args:
        configuration: plain values as in the run's ``config.yaml``.
        stages: the run's stages.

    Returns:
        Plain values by dotted name; of a list of stages one text for each field.

    >>> net = {"class_path": "models.UNet", "init_args": {"encoder": "resnet34"}}
    >>> data = {"class_path": "datamodules.FolderDataModule", "init_args": {"root": "cars", "cache_gb": 4.0}}
    >>> hyperparameters({"model": {"net": net, "flip": True}, "data": data}, [])
    {'model.net': 'UNet', 'model.net.encoder': 'resnet34', 'data': 'FolderDataModule', 'data.root': 'cars'}
    """
    flat: dict[str, Scalar] = {}
    if stages:
        flat["stages.size"] = ", ".join(str(stage.size) for stage in stages)
        flat["stages.epochs"] = ", ".join(str(stage.epochs) for stage in stages)
        flat["stages.batch_size"] = ", ".join(str(stage.batch_size) for stage in stages)
        flat["stages.lr"] = ", ".join(f"{stage.lr:g}" for stage in stages)
    for section in ("model", "data", "ema", "seed_everything"):
        _flatten(configuration.get(section), section, flat)
    data = {"data", *(f"data.{name}" for name in _COMPARED_DATA)}
    return {
        name: value
        for name, value in flat.items()
        if name not in _NOT_COMPARED and (name in data or not name.startswith("data."))
    }


def _flatten(value: Any, name: str, into: dict[str, Scalar]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # A class of the command line, {class_path, init_args}, becomes its name and its arguments.
            if key == "class_path":
                into[name] = str(inner).rpartition(".")[2]
            else:
                _flatten(inner, name if key == "init_args" else f"{name}.{key}", into)
    elif isinstance(value, bool | int | float | str):
        into[name] = value
    elif value is not None:
        into[name] = str(value)
