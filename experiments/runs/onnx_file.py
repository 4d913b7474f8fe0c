"""ONNX exports in place of a checkpoint: ``predict --onnx FILE``."""

import json
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

from callbacks.errors import CheckpointError
from datamodules.stage import Stage
from experiments.runs.folder import relative_to_here
from models.losses.style import StyleLoss
from models.onnx_net import open_session
from models.weights.pretrained import WeightsError

#: Side of a tile that no image exceeds, for networks that must see the whole image.
_NO_TILES = 2**30


def read_onnx(path: Path, *, record_format: int) -> dict[str, Any]:
    """Reads an ONNX export as a checkpoint whose network is run by ONNX Runtime.

    Args:
        path: a file that ``export --format onnx`` wrote.
        record_format: format of the record.

    Raises:
        CheckpointError: if it is missing, cannot be read, or was not written by Darkroom.
    """
    shown = relative_to_here(path)
    if not path.is_file():
        raise CheckpointError(f"there is no ONNX file {shown}")
    try:
        about = dict(open_session(path).get_modelmeta().custom_metadata_map)
    except WeightsError as error:
        raise CheckpointError(str(error)) from error
    try:
        task, size, scale = about["task"], int(about["size"]), int(about["scale"])
        classes = json.loads(about["classes"])
        tiles = {key: int(about[key]) for key in ("tile", "reach", "multiple") if key in about}
        threshold = float(about.get("threshold", 0.5))
        bits = int(about["bits"]) if "bits" in about else None
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{shown} was not written by export --format onnx: its metadata lacks {error}") from error
    net: dict[str, Any] = {"file": str(path), "scale": scale, "classes": len(classes)}
    model: dict[str, Any] = {"net": {"class_path": "models.OnnxNet", "init_args": net}}
    data: dict[str, Any] = {}
    weights = {}
    if task == "segment":
        model |= {"threshold": threshold}
        data = {"class_path": "datamodules.FolderDataModule", "init_args": {"classes": classes}}
    elif task == "style":
        net |= {key: tiles[key] for key in ("reach", "multiple") if key in tiles}
        model |= {"tile": tiles.get("tile", _NO_TILES), "loss": _loss_settings()}
        data = {"class_path": "datamodules.StyleDataModule"}
        weights = {f"loss.{name}": tensor for name, tensor in StyleLoss(**_loss_settings()).state_dict().items()}
    else:
        model |= {"loss": {"class_path": "models.L1Loss"}}
        data = {"class_path": "datamodules.SuperResolutionDataModule"}
    stage = Stage(
        name="export",
        size=size,
        batch_size=1,
        epochs=1,
        lr=1e-3,
        scale=scale if task == "sr" else None,
        crop=size if about.get("keeps_proportions") == "true" else None,
    )
    if bits is not None:
        data["init_args"] = {**data.get("init_args", {}), "bits": bits}
    record = {"format": record_format, "task": task, "classes": classes, "model": model, "data": data}
    return {
        "state_dict": weights,
        "darkroom": {**record, "stages": [asdict(stage)]},
        "epoch": 0,
        "global_step": 0,
        "loops": {"fit_loop": {"epoch_progress": {"current": {"processed": 1}}}},
    }


def _loss_settings() -> dict[str, Any]:
    """All arguments of a loss without trained features, which inference does not use; a recipe sets others."""
    defaults = {name: argument.default for name, argument in signature(StyleLoss).parameters.items()}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    return plain | {"weights": "none"}
