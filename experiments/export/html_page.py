"""Writer of the web page: checks the network in ONNX Runtime, then puts it into the page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from callbacks.output_file import output_file
from callbacks.prediction.matting import EDGE_WIDTH, TINT
from callbacks.visualization.masks import palette
from datamodules.stage import Stage
from experiments.cli.usage import UsageError
from experiments.export.check import largest_difference
from experiments.export.formats import OPSET, checked_in_onnx_runtime, onnx_model
from experiments.export.graph import InferenceGraph, to_onnx, trace
from experiments.export.network_file import Source, darkroom_version
from experiments.export.ort_web import VERSION, OrtWeb
from experiments.export.page import build_page
from experiments.export.shared_graph import SharedStatisticsGraph
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.tiles import choose_tiles
from models.style.tiled_instance_norm import TiledInstanceNorm2d

#: Largest side of a tile in the page where it does not change the result: less memory, and more steps of the bar.
_TILE = 768


def export_html(source: Source, target: Path, *, ort_web: OrtWeb) -> str:
    """Writes the page.

    Returns:
        What was checked, for the user.

    Raises:
        ExportError: if the network cannot be exported, or the model gives other results.
        UsageError: for a segmentation network whose images keep their proportions or are divided into tiles.
    """
    if isinstance(source.module, SegmentationModule):
        _refuse_other_sizes(source.module, source.checkpoint.stage)
    if any(isinstance(part, TiledInstanceNorm2d) for part in source.module.modules()):
        graph = SharedStatisticsGraph(source.module, half=source.half)
        statistics, (model, difference) = graph.length, _shared_model(source, graph, name=target)
    else:
        statistics, (model, difference) = 0, onnx_model(source, name=target)
    page = build_page(model, ort_web, page_info(source, statistics=statistics))
    with output_file(target) as file:
        file.write(page.encode())
    return f"onnxruntime-web {VERSION}, {checked_in_onnx_runtime(difference)}; open it in a browser"


def page_info(source: Source, *, statistics: int) -> dict[str, Any]:
    """Describes the network for the page, in plain values.

    Args:
        source: what is exported.
        statistics: number of statistics of a ``SharedStatisticsGraph``; 0 for networks without instance norm.
    """
    module, checkpoint = source.module, source.checkpoint
    saved = datetime.fromtimestamp(checkpoint.path.stat().st_mtime, tz=UTC).astimezone()
    common = {
        "task": str(checkpoint.record["task"]),
        "name": network_name(checkpoint.path),
        "network": network_class(checkpoint.record["model"]),
        "saved": saved.date().isoformat(),
        "epochs": checkpoint.epochs_done,
        "weights": "float16" if source.half else "float32",
        "darkroom": darkroom_version(),
        "ort": VERSION,
        "classes": [],
    }
    if isinstance(module, SegmentationModule):
        classes = list(module.classes)
        return common | {
            "title": f"Cut out: {classes[0]}" if len(classes) == 1 else f"Segment into {len(classes)} classes",
            "classes": classes,
            "palette": np.array(palette(len(classes))).tolist(),
            "threshold": module.threshold,
            "size": checkpoint.stage.size,
            "edgeWidth": EDGE_WIDTH,
            "tint": TINT,
        }
    scale, tiling = int(getattr(module, "scale", 1)), getattr(module, "tiling", None)
    enlarges = f"Enlarge images {scale} times" if scale > 1 else "Restore images"
    whole = tiling.tile if tiling else 0
    tile = whole
    if tiling and common["task"] == "style":  # its overlap covers the receptive field, so that any tile will do
        tile = min(whole, max(_TILE - _TILE % tiling.multiple, 2 * tiling.overlap))
    return common | {
        "title": "Stylize images" if common["task"] == "style" else enlarges,
        "scale": scale,
        "statistics": statistics,
        # ``predict`` does not divide an image that fits into one of its tiles. Smaller tiles give the same result
        # unless the network has instance norm: then only those of an image that ``predict`` divides do.
        "whole": whole if statistics else tile,
        "measure": whole,
        "tile": tile,
        "overlap": tiling.overlap if tiling else 0,
        "multiple": tiling.multiple if tiling else 1,
    }


def network_name(checkpoint: Path) -> str:
    """Returns the name of the run, or of the file if it is not in the folder of a run.

    >>> network_name(Path("runs/segment/mine/checkpoints/best.ckpt")), network_name(Path("shared/sr-2x.safetensors"))
    ('mine', 'sr-2x')
    """
    folder = checkpoint.absolute().parent
    return folder.parent.name if folder.name == "checkpoints" else checkpoint.stem


def network_class(model: dict[str, Any]) -> str:
    """Returns the class of the network, with its encoder if it has one.

    >>> network_class({"net": {"class_path": "models.UNet", "init_args": {"encoder": "resnet18"}}})
    'UNet, encoder resnet18'
    """
    net = model.get("net", {})
    name = str(net.get("class_path", "")).rpartition(".")[2]
    encoder = net.get("init_args", {}).get("encoder")
    return f"{name}, encoder {encoder}" if encoder else name


def _refuse_other_sizes(module: SegmentationModule, stage: Stage) -> None:
    """Refuses networks that do not segment each image as one square, which is what the page does."""
    if stage.crop is not None:
        raise UsageError(
            f"--format html: the stage '{stage.name}' keeps the proportions of images (crop), and the page resizes to "
            "a square: export it as onnx"
        )
    if choose_tiles(stage.size, tile=module.tile, train_size=stage.size) is not None:
        raise UsageError(
            f"--format html: the network divides images of {stage.size} px into tiles of {module.tile} px, and the "
            "page does not: export it as onnx, or give --model.tile none"
        )


def _shared_model(source: Source, graph: SharedStatisticsGraph, *, name: Path) -> tuple[bytes, float]:
    """As ``onnx_model``, for networks with instance norm: the model takes and returns statistics as well."""
    import onnxruntime

    unused, measure = torch.zeros(graph.length), torch.zeros(1)
    program = trace(graph, unused, measure)
    model = to_onnx(program, opset=OPSET, inputs=("images", "statistics", "given")).model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of this machine
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        """One image at a time, and each twice: with its own statistics, and with these given."""
        results = []
        for image in images.split(1):
            feeds = {"images": image.numpy(), "statistics": unused.numpy(), "given": measure.numpy()}
            _, statistics = session.run(None, feeds)
            again, _ = session.run(None, {**feeds, "statistics": statistics, "given": np.ones(1, np.float32)})
            results.append(torch.from_numpy(again))
        return torch.cat(results)

    return content, largest_difference(InferenceGraph(source.module, half=source.half), run, name=name)
