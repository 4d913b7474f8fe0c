"""The files that ``predict`` writes for style: images repainted as far as was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.blend import blend
from callbacks.prediction.images import ImageFiles
from callbacks.prediction.writer import Source

Pixels = NDArray[Any]  # uint8 or uint16


class RepaintedFiles:
    """Mixes what the net painted with the image, and writes ``result/NAME.png``.

    Args:
        files: writes the result, with alpha, depth, profile and EXIF of the original.
        colors: reads an image (H, W, 3) at the depth that the net was given.
        strength: see ``blend``.
        keep_colors: see ``blend``.
    """

    def __init__(
        self, *, files: ImageFiles, colors: Callable[[Path], Pixels], strength: float = 1.0, keep_colors: bool = False
    ) -> None:
        self.files, self.colors, self.strength, self.keep_colors = files, colors, strength, keep_colors

    def write(self, prediction: Pixels, image: Source) -> None:
        """Writes the file of one image.

        Args:
            prediction: (3, H, W) RGB, uint8 or uint16.
            image: the image.

        Raises:
            OutputError: if the file could not be written.
        """
        if self.strength < 1 or self.keep_colors:  # read once more: in the queue it would fill the memory
            original = self.colors(Path(image.path))
            styled = np.ascontiguousarray(prediction.transpose(1, 2, 0))
            mixed = blend(styled, original, strength=self.strength, keep_colors=self.keep_colors)
            prediction = mixed.transpose(2, 0, 1)
        self.files.write(prediction, image)

    def paths(self, name: str) -> list[Path]:
        """The files of the image whose results are called ``name``."""
        return self.files.paths(name)

    def described(self) -> list[str]:
        """A line for each kind of file."""
        strength = f", at a strength of {self.strength:g}" if self.strength < 1 else ""
        colors = ", in the image's own colors" if self.keep_colors else ""
        return [f"result/  PNG, repainted{strength}{colors}"]
