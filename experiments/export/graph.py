"""The graph that is exported: images in [0, 1] to probabilities or images, for any batch size, height and width."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from callbacks.errors import ExportError
from lightning_modules.base import ImageTask
from lightning_modules.segmentation import SegmentationModule
from models.super_resolution.self_ensemble import self_ensemble

#: Images that a program is traced with. An odd size and a batch of two keep torch from specializing on them.
_EXAMPLE = (2, 3, 77, 90)
_SYMBOLIC_SHAPES: Any = _config
_UNCONVERTED = re.compile(r"node %(?P<node>\w+) .*?target=(?P<operator>[\w.]+)\]")


class InferenceGraph(nn.Module):
    """Everything between an image in [0, 1] and the result: normalization, padding, network, sigmoid or softmax.

    Args:
        module: a trained module; its network is copied.
        half: whether the weights are stored as float16. The computation is float32 in any case.
    """

    def __init__(self, module: ImageTask, *, half: bool = False) -> None:
        super().__init__()
        self.classes = module.classes if isinstance(module, SegmentationModule) else ()
        self.flip, self.ensemble = bool(getattr(module, "flip", False)), bool(getattr(module, "ensemble", False))
        net = deepcopy(module.net).float().cpu().eval().to(memory_format=torch.contiguous_format)
        self.net = _HalfWeights(net) if half else net
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Maps images to the result.

        Args:
            images: (N, 3, H, W) float32, RGB in [0, 1].

        Returns:
            Segmentation: probabilities (N, C, H, W). Other tasks: images (N, 3, scale * H, scale * W) in [0, 1].
        """
        if not self.classes:
            result: Tensor = self_ensemble(self.net, images) if self.ensemble else self.net(images)
            return result.clamp(0, 1)
        probs = self._probabilities(images)
        return (probs + self._probabilities(images.flip(-1)).flip(-1)) / 2 if self.flip else probs

    def _probabilities(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits.sigmoid() if len(self.classes) == 1 else logits.softmax(dim=1)


class ByteGraph(nn.Module):
    """An ``InferenceGraph`` whose input is what decoders and cameras give: (N, H, W, 3) uint8, RGB."""

    def __init__(self, graph: InferenceGraph) -> None:
        super().__init__()
        self.inference = graph

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, H, W, 3) uint8 to what ``InferenceGraph`` returns."""
        result: Tensor = self.inference(images.permute(0, 3, 1, 2).float() / 255)
        return result


def to_input(graph: nn.Module, images: Tensor) -> Tensor:
    """Converts images (N, 3, H, W) float32 in [0, 1] to the input of ``graph``."""
    return images.mul(255).round().byte().permute(0, 2, 3, 1).contiguous() if isinstance(graph, ByteGraph) else images


class _HalfWeights(nn.Module):
    """Stores the floating-point weights of ``net`` as float16 and converts them before use."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.inner = net.half()

    def forward(self, images: Tensor) -> Tensor:
        state = {**dict(self.inner.named_parameters()), **dict(self.inner.named_buffers())}
        full = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        result: Tensor = torch.func.functional_call(self.inner, full, (images,))
        return result


def trace(graph: nn.Module, *others: Tensor) -> ExportedProgram:
    """Exports the graph with free batch size, height and width.

    Args:
        graph: an ``InferenceGraph``, or one that takes ``others`` besides images.
        others: examples of further inputs, whose shapes are fixed.

    Raises:
        ExportError: naming the layer that cannot be exported.
    """
    height, width = axes(graph)
    free = ({0: Dim.DYNAMIC, height: Dim.DYNAMIC, width: Dim.DYNAMIC}, *({} for _ in others))
    images = to_input(graph, torch.rand(*_EXAMPLE, generator=torch.Generator().manual_seed(0)))
    try:
        # Without the option the program holds for sizes that compare like the example's, such as odd ones only.
        with _no_warnings(), torch.no_grad(), _SYMBOLIC_SHAPES.patch(backed_size_oblivious=True):
            return torch.export.export(graph, (images, *others), dynamic_shapes=free, strict=False)
    except Exception as error:  # torch raises many types, among them internal ones
        layer = _failing_layer(graph, error)
        raise ExportError(f"{layer} cannot be exported: {_first_line(error)}") from error


def axes(graph: nn.Module) -> tuple[int, int]:
    """Returns the axes of height and width in the input of ``graph``."""
    return (1, 2) if isinstance(graph, ByteGraph) else (2, 3)


def to_onnx(program: ExportedProgram, *, opset: int, inputs: Sequence[str] = ("images",)) -> "torch.onnx.ONNXProgram":
    """Converts an exported program to ONNX, with names for its inputs.

    Raises:
        ExportError: naming the layer whose operator ONNX does not have.
    """
    try:
        with _no_warnings():
            onnx_program = torch.onnx.export(
                program, opset_version=opset, input_names=list(inputs), output_names=["result"], verbose=False
            )
    except Exception as error:
        raise ExportError(f"{_unconverted_layer(program, error)} has no counterpart in ONNX") from error
    if onnx_program is None:
        raise ExportError("torch returned no ONNX program")
    return onnx_program


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Drops the exporters' warnings about torch's own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _failing_layer(graph: nn.Module, error: BaseException) -> str:
    """The innermost layer in whose ``forward`` the error was raised."""
    names = {id(module): name for name, module in graph.named_modules() if name}
    found, traceback = "", error.__traceback__
    while traceback is not None:
        module = traceback.tb_frame.f_locals.get("self")
        if id(module) in names:
            found = f"{names[id(module)]} ({type(module).__name__})"
        traceback = traceback.tb_next
    return found or "the network"


def _unconverted_layer(program: ExportedProgram, error: BaseException) -> str:
    """The operator and the layer of the graph node that the exception's chain names."""
    messages: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        messages.append(str(cause))
        cause = cause.__cause__
    found = _UNCONVERTED.search(" ".join(messages))
    if found is None:
        return f"an operator ({_first_line(error)})"
    for node in program.run_decompositions().graph.nodes:  # the exporter converts the decomposed program
        if node.name == found["node"] and (stack := list(node.meta.get("nn_module_stack", {}).values())):
            return f"{stack[-1][0]}: {found['operator']}"
    return found["operator"]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
