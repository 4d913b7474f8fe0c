"""What TensorBoard shows besides measurements: the layout of its charts, and words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from datamodules.stage import Stage

Scalar = bool | int | float | str

# Category -> chart -> (kind, regular expressions of tags), as SummaryWriter.add_custom_scalars wants it.
LAYOUT: dict[str, dict[str, list[Any]]] = {
    "how well the network does": {
        "loss": ["Multiline", [r"^train/loss$", r"^val/loss$"]],
        "PSNR in dB, beside bicubic enlargement": ["Multiline", [r"^val/(bicubic_)?psnr$"]],
        "SSIM, beside bicubic enlargement": ["Multiline", [r"^val/(bicubic_)?ssim$"]],
        "loss as a share of the untouched images' loss": ["Multiline", [r"^val/relative$"]],
        "validation scores": ["Multiline", [r"^val/(?!loss$|relative$|(bicubic_)?psnr$|(bicubic_)?ssim$)[^/]+$"]],
        "parts of the training loss": ["Multiline", [r"^train/loss/.+$"]],
        "parts of the validation loss": ["Multiline", [r"^val/loss/.+$"]],
        "IoU of every class": ["Multiline", [r"^val/iou/.+$"]],
    },
    "where the run stands": {
        "side of the images in pixels": ["Multiline", [r"^stage/size$"]],
        "number of the stage": ["Multiline", [r"^stage/index$"]],
        "learning rate of every layer group, from the input outwards": ["Multiline", [r"^lr/.+$"]],
    },
    "how fast it trains": {
        "images per second": ["Multiline", [r"^speed/images_per_second$"]],
        "share of the time spent waiting for data": ["Multiline", [r"^speed/data_wait_share$"]],
    },
}

GUIDE = """
| where | what |
|---|---|
| Custom Scalars | the numbers that matter, in three groups; set *smoothing* to 0 to see steps as steps |
| `train/loss`, `val/loss` | the loss of a training step, and the mean over all validation images |
| `val/...` | scores of the whole validation set at the stage's size; they jump where a stage begins |
| `stage/index`, `stage/size` | which stage trains (from 1) and how large its images are |
| `lr/group0`, ... | learning rate of every layer group that trains, the first is nearest to the input |
| `speed/data_wait_share` | 0: the network is the slower part; near 1: the loaders are, give them more workers |
| Images, `figures/validation_...` | the same validation images every time; large: where they are wrong |
| Images, `figures/worst_...` | the images that came out worst in this epoch |
| Images, `figures/training_batch` | what the network gets to see, drawn when a stage begins |
| Images, `figures/painting` | style: the painting as the loss sees it |
| Images, `figures/precision_recall` | masks: for every threshold, how much of the found is right, how much is found |
| HParams | settings and best scores of this run; point TensorBoard at the folder above to compare runs |
"""


def layout(tags: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """Lays out the custom-scalars tab without charts that would stay empty.

    Args:
        tags: that are logged or will be.

    Returns:
        What ``SummaryWriter.add_custom_scalars`` wants.
    """
    known = list(tags)
    return {
        category: {
            title: chart for title, chart in charts.items() if any(re.match(p, tag) for p in chart[1] for tag in known)
        }
        for category, charts in LAYOUT.items()
    }


def stage_line(stage: Stage, index: int, count: int, epoch: int) -> str:
    """Says in Markdown which stage begins.

    Args:
        stage: the stage.
        index: its number from 0.
        count: how many stages there are.
        epoch: the epoch that begins, from 0.
    """
    frozen = {0: "everything trains", "encoder": "the encoder stands still"}.get(
        stage.frozen, f"{stage.frozen} layer groups stand still"
    )
    augmented = "augmented" if stage.augment else "not augmented"
    return (
        f"**stage {index + 1} of {count}: {stage.name}** begins in epoch {epoch + 1}: {stage.size} px, "
        f"batches of {stage.batch_size}, {augmented}, {stage.epochs} epochs, peak rate {stage.lr:g}, {frozen}"
    )


def code_block(configuration: Mapping[str, Any]) -> str:
    """Writes a configuration as YAML in Markdown's indented form, which TensorBoard shows as it is."""
    text = yaml.safe_dump(dict(configuration), sort_keys=False, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.splitlines())


def hyperparameters(configuration: Mapping[str, Any], stages: Sequence[Stage]) -> dict[str, Scalar]:
    """Picks what one would compare runs by: network, module, data, seed, and a line for each setting of the stages.

    Args:
        configuration: plain values as in the run's ``config.yaml``.
        stages: the run's stages.

    Returns:
        Flat plain values.

    >>> net = {"class_path": "models.UNet", "init_args": {"encoder": "resnet34"}}
    >>> hyperparameters({"model": {"net": net, "classes": ["car"]}, "trainer": {"devices": 1}}, [])
    {'model.net': 'UNet', 'model.net.encoder': 'resnet34', 'model.classes': "['car']"}
    """
    flat: dict[str, Scalar] = {}
    for section in ("model", "data", "seed_everything"):
        _flatten(configuration.get(section), section, flat)
    if stages:
        flat["stages.size"] = ", ".join(str(stage.size) for stage in stages)
        flat["stages.epochs"] = ", ".join(str(stage.epochs) for stage in stages)
        flat["stages.batch_size"] = ", ".join(str(stage.batch_size) for stage in stages)
        flat["stages.lr"] = ", ".join(f"{stage.lr:g}" for stage in stages)
    return flat


def _flatten(value: Any, name: str, into: dict[str, Scalar]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            # {class_path, init_args}, as the command line has it, reads as the class and its settings.
            if key == "class_path":
                into[name] = str(inner).rpartition(".")[2]
            else:
                _flatten(inner, name if key == "init_args" else f"{name}.{key}", into)
    elif isinstance(value, bool | int | float | str):
        into[name] = value
    elif value is not None:
        into[name] = str(value)
