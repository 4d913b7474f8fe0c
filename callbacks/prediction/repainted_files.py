"""The files that ``predict`` writes for style: photographs repainted as far as was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.prediction.blend import blend
from callbacks.prediction.images import PhotoFiles
from callbacks.prediction.writer import Picture

Pixels = NDArray[Any]  # uint8 or uint16


class RepaintedFiles:
    """Mixes what the net painted with the photograph, and writes ``result/NAME.png``.

    Args:
        files: writes the result, with alpha, depth, profile and EXIF of the original.
        colours: reads a photograph (H, W, 3) at the depth that the net was given.
        strength: see ``blend``.
        keep_colors: see ``blend``.
    """

    def __init__(
        self, *, files: PhotoFiles, colours: Callable[[Path], Pixels], strength: float = 1.0, keep_colors: bool = False
    ) -> None:
        self.files, self.colours, self.strength, self.keep_colors = files, colours, strength, keep_colors

    def write(self, prediction: Pixels, picture: Picture) -> None:
        """Writes the file of one photograph.

        Args:
            prediction: (3, H, W) RGB, uint8 or uint16.
            picture: the photograph.

        Raises:
            OutputError: if the file could not be written.
        """
        if self.strength < 1 or self.keep_colors:  # read once more: in the queue it would fill the memory
            original = self.colours(Path(picture.path))
            styled = np.ascontiguousarray(prediction.transpose(1, 2, 0))
            mixed = blend(styled, original, strength=self.strength, keep_colors=self.keep_colors)
            prediction = mixed.transpose(2, 0, 1)
        self.files.write(prediction, picture)

    def paths(self, name: str) -> list[Path]:
        """The files of the photograph whose results are called ``name``."""
        return self.files.paths(name)

    def described(self) -> list[str]:
        """A line for each kind of file."""
        strength = f", at a strength of {self.strength:g}" if self.strength < 1 else ""
        colours = ", in the photograph's own colours" if self.keep_colors else ""
        return [f"result/  PNG, repainted{strength}{colours}"]
