"""A network in an ONNX file, run by ONNX Runtime in place of torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.weights.pretrained import WeightsError


class OnnxNet(nn.Module):
    """Runs a file that ``export --format onnx`` wrote, on the CPU; it has no weights that torch knows.

    Args:
        file: the ONNX file.
        scale: its magnification.
        classes: number of classes of a segmentation network; 0 for others. The graph returns probabilities, and the
            module expects logits: ``forward`` returns their inverse, the logit for one class and the logarithm for
            several.
        reach: radius in pixels of its receptive field, by which tiles of style transfer are chosen.
        multiple: tiles start at multiples of this number.

    Raises:
        WeightsError: if ONNX Runtime is not installed, or cannot read the file.
    """

    def __init__(self, *, file: Path, scale: int = 1, classes: int = 0, reach: int = 0, multiple: int = 1) -> None:
        super().__init__()
        self._session = open_session(file)
        (inputs,) = self._session.get_inputs()
        self._input, self._bytes = inputs.name, inputs.type == "tensor(uint8)"
        self._scale, self._classes = scale, classes
        self.reach, self.multiple = reach, multiple

    @property
    def active_scale(self) -> int:
        """The network's magnification; it has only one.

        Raises:
            ValueError: when another one is set.
        """
        return self._scale

    @active_scale.setter
    def active_scale(self, scale: int) -> None:
        if scale != self._scale:
            raise ValueError(f"this ONNX file enlarges {self._scale} times, not {scale}")

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (N, 3, H, W) in [0, 1] to images, or to the logits of segmentation."""
        given = images.detach().float().cpu()
        if self._bytes:
            given = given.mul(255).round().byte().permute(0, 2, 3, 1)
        (array,) = self._session.run(None, {self._input: given.contiguous().numpy()})
        result = torch.from_numpy(array).to(images.device)
        if not self._classes:
            return result
        return result.logit() if self._classes == 1 else result.log()

    def layer_groups(self) -> list[list[nn.Module]]:
        """One group without parameters: the network cannot be trained."""
        return [[self]]


def open_session(file: Path) -> Any:
    """Opens an ONNX file in ONNX Runtime.

    Raises:
        WeightsError: if ONNX Runtime is not installed, or cannot read the file.
    """
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        raise WeightsError(f"{file} needs the package onnxruntime: pip install '.[export]'") from error
    try:
        return runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises types of its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{file} cannot be read as ONNX: {reason}") from error
