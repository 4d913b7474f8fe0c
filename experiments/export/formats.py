"""Writers of the export formats. Each file is checked against the network before it gets its name."""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from callbacks.output_file import output_file, output_path
from callbacks.visualization.masks import palette
from datamodules.io.bit_depth import FULL_BITS, recorded_bits
from datamodules.stage import Stage
from experiments.cli.usage import UsageError
from experiments.export.check import largest_difference
from experiments.export.graph import axes, to_onnx, trace
from experiments.export.network_file import Source, darkroom_version, exported_tensors, network_config, network_file
from experiments.export.rembg import export_rembg
from lightning_modules.segmentation import SegmentationModule

OPSET = 18
SUFFIXES = {"onnx": ".onnx", "rembg": ".rembg.onnx", "torch": ".pt2", "safetensors": ".safetensors", "html": ".html"}
CONFIG = "config.json"
#: Python packages that a format needs; the extra ``export`` installs them.
_PACKAGES = dict.fromkeys(("onnx", "rembg", "html"), ("onnx", "onnxscript", "onnxruntime"))


def require_packages(kind: str) -> None:
    """Checks that the packages of a format are installed.

    Raises:
        UsageError: naming the missing package and the extra that brings it.
    """
    for package in _PACKAGES.get(kind, ()):
        try:
            import_module(package)
        except ImportError:
            raise UsageError(
                f"--format {kind} needs the package {package}: install the extra with pip install -e '.[export]'"
            ) from None


def export_onnx(source: Source, target: Path) -> str:
    """Writes an ONNX file and runs it in ONNX Runtime.

    Returns:
        What was checked, for the user.

    Raises:
        ExportError: if the network cannot be exported, or the file gives other results.
    """
    content, difference = onnx_model(source, name=target)
    with output_file(target) as file:
        file.write(content)
    return f"opset {OPSET}, {checked_in_onnx_runtime(difference)}"


def onnx_model(source: Source, *, name: Path) -> tuple[bytes, float]:
    """Converts the network to ONNX and runs it in ONNX Runtime.

    Args:
        source: what is exported.
        name: the file that is to be written, for messages.

    Returns:
        The content of an ONNX file, and the largest difference to the network.

    Raises:
        ExportError: if the network cannot be exported, or the model gives other results.
    """
    import onnx
    import onnxruntime

    graph = source.graph()
    model = to_onnx(trace(graph), opset=OPSET).model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for axis, dimension in zip(axes(graph), ("height", "width"), strict=True):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = dimension
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of this machine
    onnx.helper.set_model_props(model, metadata(source))
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return content, largest_difference(graph, run, name=name)


def checked_in_onnx_runtime(difference: float) -> str:
    """Describes the check, for the user."""
    return f"largest difference to the network in ONNX Runtime {difference:.1e}"


def export_torch(source: Source, target: Path) -> str:
    """Writes a ``torch.export`` program; ``torch.export.load(FILE).module()`` runs it.

    Returns:
        What was checked, for the user.

    Raises:
        ExportError: if the network cannot be exported, or the file gives other results.
    """
    graph = source.graph()
    program = trace(graph)
    with output_path(target) as partial:
        with partial.open("wb") as file:
            torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata(source))})
        with partial.open("rb") as file:
            run: Callable[[Tensor], Tensor] = torch.export.load(file).module()
        difference = largest_difference(graph, run, name=target)
    return f"torch {torch.__version__}, largest difference to the network {difference:.1e}"


def export_safetensors(source: Source, target: Path) -> str:
    """Writes the weights, and beside them ``config.json`` with everything that builds the network.

    The file's header holds the same configuration, so the file alone is enough for ``experiments.load`` and for
    ``--ckpt_path``.

    Returns:
        What was written, for the user.
    """
    config = network_config(source)
    with output_file(target) as file:
        file.write(network_file(source, config))
    with output_file(target.with_name(CONFIG)) as file:
        file.write(json.dumps(config, indent=2).encode())
    return f"{len(exported_tensors(source))} tensors, with {CONFIG}"


def write_rembg(source: Source, target: Path) -> str:
    """Writes a network of one class for rembg, see ``export_rembg``."""
    return export_rembg(source.module, target, size=source.checkpoint.stage.size, half=source.half)


WRITERS: Mapping[str, Callable[[Source, Path], str]] = {
    "onnx": export_onnx,
    "rembg": write_rembg,
    "torch": export_torch,
    "safetensors": export_safetensors,
}


def metadata(source: Source) -> dict[str, str]:
    """Describes an export for programs that run it, in plain strings."""
    module, stage = source.module, source.checkpoint.stage
    common = {
        "darkroom_version": darkroom_version(),
        "task": str(source.checkpoint.record["task"]),
        "input": "images (N, H, W, 3) uint8, RGB" if source.uint8 else "images (N, 3, H, W) float32, RGB in [0, 1]",
        "weights": "float16" if source.half else "float32",
        "size": str(stage.size),
    }
    if (bits := recorded_bits(source.checkpoint.record)) != FULL_BITS:
        common |= {"bits": str(bits)}
    if isinstance(module, SegmentationModule):
        return common | {
            "classes": json.dumps(list(module.classes)),
            "threshold": str(module.threshold),
            "palette": json.dumps(np.array(palette(len(module.classes))).ravel().tolist()),
            "scale": "1",
            "min_size": str(getattr(getattr(module.net, "encoder", None), "least_size", 1)),
            "keeps_proportions": str(stage.crop is not None).lower(),
            "preprocessing": f"{_resizing(stage)}, area averages where it shrinks; normalization is part of the graph",
            "output": "probabilities (N, C, H, W); resize to the size of the image, bilinear",
        }
    scale, tiling = int(getattr(module, "scale", 1)), getattr(module, "tiling", None)
    instance_norm = any(isinstance(part, nn.InstanceNorm2d) for part in module.net.modules())
    whole = instance_norm or getattr(module.net, "sees_whole_image", False)
    if tiling is not None and not whole:  # tiles would each get their own contrast
        margin = -(-tiling.overlap // 2 // tiling.multiple) * tiling.multiple
        common |= {"tile": str(tiling.tile), "margin": str(margin)}
    common |= {key: str(getattr(module.net, key)) for key in ("reach", "multiple") if hasattr(module.net, key)}
    return common | {
        "classes": "[]",
        "scale": str(scale),
        "preprocessing": "none: give images at their own size; normalization and padding are part of the graph",
        "output": "images (N, 3, scale * H, scale * W) float32, RGB in [0, 1]",
    }


def _resizing(stage: Stage) -> str:
    if stage.crop is None:
        return f"resize to {stage.size} x {stage.size} px"
    return f"keep the proportions, resize to a shorter side of {stage.size} px if it is longer"
