"""A segmentation network in the form that rembg's session ``u2net_custom`` runs (``--format rembg``).

rembg resizes an image to 320 x 320 px, divides it by its largest value, subtracts the mean and divides by the standard
deviation of ImageNet, and stretches the first channel of the result to its full range before it becomes the mask. The
graph takes the normalization back and resizes to the size that the network was trained at.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from callbacks.errors import ExportError
from callbacks.output_file import output_path
from experiments.cli.usage import UsageError
from experiments.export.check import TOLERANCE
from experiments.export.graph import InferenceGraph, to_onnx
from lightning_modules.base import ImageTask

#: Side in pixels of the images that rembg gives.
SIDE = 320
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class RembgGraph(nn.Module):
    """Maps what rembg gives to the probabilities of one class.

    Args:
        graph: a segmentation network of one class.
        size: side of the square that it was trained at, in pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, graph: InferenceGraph, *, size: int) -> None:
        super().__init__()
        self.inference, self.size = graph, size
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Maps (1, 3, 320, 320), normalized, to probabilities (1, 1, size, size)."""
        images = (images * self.std + self.mean).clamp(0, 1)
        if self.size != SIDE:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)
        result: Tensor = self.inference(images)
        return result


def export_rembg(module: ImageTask, target: Path, *, size: int, half: bool) -> str:
    """Writes the ONNX file and runs it in ONNX Runtime.

    Args:
        module: the trained module.
        target: the file.
        size: side of the square that it was trained at, in pixels.
        half: whether weights are stored as float16.

    Returns:
        What was checked, for the user.

    Raises:
        UsageError: if the network does not segment one class.
        ExportError: if the network cannot be exported, or the file gives other results.
    """
    import onnxruntime

    inner = InferenceGraph(module, half=half)
    if len(inner.classes) != 1:
        raise UsageError("--format rembg is for networks that segment one class: rembg shows one mask")
    graph = RembgGraph(inner, size=size).eval()
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = graph(images)
    model = to_onnx(torch.export.export(graph, (images,), strict=False), opset=18).model_proto
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of this machine
    with output_path(target) as partial:
        partial.write_bytes(model.SerializeToString())
        session = onnxruntime.InferenceSession(str(partial), providers=["CPUExecutionProvider"])
        found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
        difference = float((found - expected).abs().max())
        if not difference <= TOLERANCE:  # this form refuses nan too
            raise ExportError(f"{target} differs from the network by {difference:.1e}; the file was not written")
    return f"for rembg's u2net_custom, largest difference to the network in ONNX Runtime {difference:.1e}"
