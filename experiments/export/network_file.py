"""The safetensors file of a network: its weights, and in the header everything that builds it again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import Tensor

from experiments.export.graph import ByteGraph, InferenceGraph
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.exported import NETWORK_KEY
from lightning_modules.base import ImageTask
from lightning_modules.style import StyleModule

#: Options of the data modules that name files of the machine that trained.
_LOCAL_PATHS = ("root", "cache_dir", "benchmark", "style_image", "split_file")
#: Pretrained weights that are not a file.
_WEIGHTS = ("auto", "none", "imagenet")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is exported.

    Args:
        module: the trained module.
        checkpoint: the checkpoint that it was loaded from.
        half: whether weights are stored as float16.
        uint8: whether graphs take (N, H, W, 3) uint8 in place of (N, 3, H, W) float32.
    """

    module: ImageTask
    checkpoint: LoadedCheckpoint
    half: bool
    uint8: bool = False

    def graph(self) -> InferenceGraph | ByteGraph:
        """Returns the graph to export."""
        graph = InferenceGraph(self.module, half=self.half)
        return ByteGraph(graph) if self.uint8 else graph


def network_file(source: Source, config: Mapping[str, Any]) -> bytes:
    """Returns the content of a safetensors file: the weights, and ``config`` in its header."""
    from safetensors.torch import save

    weights = {
        # The buffers of a loss have values that float16 cannot represent.
        name: _stored(tensor, half=source.half and name.startswith("net."))
        for name, tensor in exported_tensors(source).items()
    }
    return save(weights, metadata={NETWORK_KEY: json.dumps(config)})


def exported_tensors(source: Source) -> dict[str, Tensor]:
    """Returns the tensors of the module; of a run with many styles without the targets of the loss, 1.4 MB a style."""
    left_out = source.module.training_only if len(source.checkpoint.record.get("styles", ())) > 1 else ()
    return {name: tensor for name, tensor in source.module.state_dict().items() if not name.startswith(left_out)}


def network_config(source: Source) -> dict[str, Any]:
    """Returns what builds the network again: the record of its checkpoint, and how far it was trained."""
    checkpoint = source.checkpoint
    data = checkpoint.record["data"]
    options = {key: value for key, value in data.get("init_args", {}).items() if key not in _LOCAL_PATHS}
    if source.module.styles:
        options["style_names"] = list(source.module.styles)
    return {
        "version": darkroom_version(),
        "epoch": checkpoint.epoch,
        "epochs_done": checkpoint.epochs_done,
        "steps_done": checkpoint.steps_done,
        "record": {
            **(record := _with_one_style(source)),
            "model": _without_files(record["model"]),
            "data": {"class_path": data["class_path"], "init_args": options},
        },
    }


def _without_files(settings: Any) -> Any:
    """Replaces files of pretrained weights, which only training needs, by ``"auto"``.

    >>> _without_files({"net": {"pretrained": "none"}, "loss": {"weights": "/home/me/vgg16.pth"}})
    {'net': {'pretrained': 'none'}, 'loss': {'weights': 'auto'}}
    """
    if not isinstance(settings, dict):
        return settings
    return {
        key: "auto"
        if key in ("pretrained", "weights") and isinstance(value, str) and value not in _WEIGHTS
        else _without_files(value)
        for key, value in settings.items()
    }


def _with_one_style(source: Source) -> dict[str, Any]:
    """The record of the checkpoint; if one style of many was chosen, of a network of that style."""
    record, net = source.checkpoint.record, source.checkpoint.record["model"]["net"]
    many = isinstance(source.module, StyleModule) and source.module.many_styles is not None
    if net.get("class_path") != "models.MultiStyleResnet" or many:
        return dict(record)
    options = {**net.get("init_args", {}), "norm": "instance"}
    options.pop("styles", None)
    one = {"class_path": "models.StyleResnet", "init_args": options}
    return {**record, "styles": list(source.module.styles), "model": {**record["model"], "net": one}}


def darkroom_version() -> str:
    """Returns the installed version."""
    try:
        return version("darkroom")
    except PackageNotFoundError:  # a clone that was not installed
        return "unknown"


def _stored(tensor: Tensor, *, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor
