"""Compares an exported file with the network it was made from, before the file gets its name."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from callbacks.errors import ExportError
from experiments.export.graph import ByteGraph, InferenceGraph, to_input

#: Largest accepted difference, of results in [0, 1].
TOLERANCE = 1e-4
#: Batch size, height and width of the images that are compared: even, odd, wide and tall.
SHAPES = ((1, 64, 64), (2, 33, 47), (1, 97, 128), (3, 128, 65), (1, 50, 131))


def largest_difference(graph: InferenceGraph | ByteGraph, exported: Callable[[Tensor], Tensor], *, name: Path) -> float:
    """Runs random images of five sizes through both.

    Args:
        graph: the network.
        exported: runs the exported file.
        name: the file, for messages.

    Returns:
        The largest absolute difference.

    Raises:
        ExportError: if the difference is above ``TOLERANCE``, or a size does not run.
    """
    generator = torch.Generator().manual_seed(1)
    largest = 0.0
    for batch, height, width in SHAPES:
        images = to_input(graph, torch.rand(batch, 3, height, width, generator=generator))
        with torch.no_grad():
            expected = graph(images)
        try:
            found = exported(images)
        except Exception as error:  # ONNX Runtime raises types of its own
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ExportError(f"{name} does not run for images of {width} x {height} px: {reason}") from error
        if found.shape != expected.shape:
            raise ExportError(f"{name} returns {tuple(found.shape)} in place of {tuple(expected.shape)}")
        difference = float((found - expected).abs().max())
        if not difference <= TOLERANCE:  # this form refuses nan too
            raise ExportError(
                f"{name} differs from the network by {difference:.1e} for images of {width} x {height} px, and at "
                f"most {TOLERANCE:.0e} is accepted; the file was not written"
            )
        largest = max(largest, difference)
    return largest
