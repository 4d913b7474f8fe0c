"""The files that ``predict`` writes for super-resolution, restoration and style transfer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from callbacks.output_file import output_file, save_png
from callbacks.prediction.png import encode_png
from callbacks.prediction.writer import SourceImage
from datamodules.batches import ImageExtras

Pixels = NDArray[Any]  # uint8 or uint16

#: Largest side of a panel of the comparison strip, and the gap between two panels, in pixels.
STRIP_SIDE, STRIP_GAP = 480, 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG


class ImageFiles:
    """Writes ``result/NAME.png`` and, if wanted, ``strip/NAME.png``.

    The result keeps the alpha channel, the 16 bits, the color profile and the EXIF of the original, and is gray if the
    original is. The strip compares the center of the image: the input upsampled by bicubic interpolation, the result
    and, if known, the target.

    Args:
        folder: where the folders are created.
        scale: magnification of the results.
        extras: reads what a file has besides its colors.
        target: returns the true image (H, W, 3) of a name, or ``None``. Without this function there are no strips.
    """

    def __init__(
        self,
        *,
        folder: Path,
        scale: int,
        extras: Callable[[Path], ImageExtras],
        target: Callable[[str], NDArray[np.uint8] | None] | None = None,
    ) -> None:
        self.folder, self.scale, self.extras, self.target = folder, scale, extras, target

    def write(self, prediction: Pixels, image: SourceImage) -> None:
        """Writes the files of one image.

        Args:
            prediction: (3, scale * H, scale * W) RGB, uint8 or uint16.
            image: the image. Strips need its pixels.

        Raises:
            OutputError: if a file cannot be written.
        """
        extras = self.extras(Path(image.path))
        pixels: Pixels = np.ascontiguousarray(prediction.transpose(1, 2, 0))
        with output_file(self._path("result", image.name)) as file:
            file.write(encode_png(pixels, extras))
        if self.target is not None and image.pixels is not None:
            result = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
            strip = comparison_strip(image.pixels, result, self.target(image.name), scale=self.scale)
            save_png(self._path("strip", image.name), strip)

    def paths(self, name: str) -> list[Path]:
        """The files that are written for the image ``name``."""
        return [self._path("result", name), *([self._path("strip", name)] if self.target is not None else [])]

    def describe(self) -> list[str]:
        """One line per kind of file."""
        lines = [f"result/  PNG, {self.scale} times as large" if self.scale > 1 else "result/  PNG, restored"]
        panels = f"the center: {'bicubic' if self.scale > 1 else 'input'}, result, target if there is one"
        return [*lines, *([f"strip/  PNG, {panels}"] if self.target is not None else [])]

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}.png"


class StylizedFiles(ImageFiles):
    """Blends stylized images with their originals and writes ``result/NAME.png``.

    Args:
        folder: where the folder is created.
        extras: reads what a file has besides its colors.
        original: reads an image (H, W, 3) at the bit depth that the network was given.
        strength: see ``blend``.
        keep_colors: see ``blend``.
    """

    def __init__(
        self,
        *,
        folder: Path,
        extras: Callable[[Path], ImageExtras],
        original: Callable[[Path], Pixels],
        strength: float = 1.0,
        keep_colors: bool = False,
    ) -> None:
        super().__init__(folder=folder, scale=1, extras=extras)
        self.original, self.strength, self.keep_colors = original, strength, keep_colors

    def write(self, prediction: Pixels, image: SourceImage) -> None:
        """Writes the file of one image.

        Args:
            prediction: (3, H, W) RGB, uint8 or uint16.
            image: the image.

        Raises:
            OutputError: if the file cannot be written.
        """
        if self.strength < 1 or self.keep_colors:
            original = self.original(Path(image.path))  # read again: originals in the queue would fill the memory
            stylized = np.ascontiguousarray(prediction.transpose(1, 2, 0))
            blended = blend(stylized, original, strength=self.strength, keep_colors=self.keep_colors)
            prediction = blended.transpose(2, 0, 1)
        super().write(prediction, image)

    def describe(self) -> list[str]:
        """One line per kind of file."""
        strength = f", blended with the original at strength {self.strength:g}" if self.strength < 1 else ""
        colors = ", with the colors of the original" if self.keep_colors else ""
        return [f"result/  PNG, stylized{strength}{colors}"]


def blend(stylized: Pixels, original: Pixels, *, strength: float, keep_colors: bool) -> Pixels:
    """Blends a stylized image with its original.

    With ``keep_colors`` the result has the luma of ``stylized`` and both color differences of ``original``. In YCbCr
    this adds the change of luma to all three channels (Gatys et al. 2016, "Preserving color in neural artistic style
    transfer", do the same in YIQ). Values out of range are clipped.

    Args:
        stylized: (H, W, 3) RGB.
        original: (H, W, 3) RGB of the same bit depth.
        strength: weight of the stylized image, 0 to 1.
        keep_colors: whether to keep the colors of ``original``.

    Returns:
        (H, W, 3) of the same bit depth; ``stylized`` itself if there is nothing to blend.
    """
    if strength == 1 and not keep_colors:
        return stylized
    old = original.astype(np.float32)
    new = stylized.astype(np.float32)
    change = ((new - old) @ _LUMA)[..., None] if keep_colors else new - old
    blended = (old + strength * change).round()
    return blended.clip(0, np.iinfo(stylized.dtype).max).astype(stylized.dtype)


def comparison_strip(
    image: NDArray[np.uint8], result: NDArray[np.uint8], target: NDArray[np.uint8] | None, *, scale: int
) -> NDArray[np.uint8]:
    """Places the centers of the upsampled input, the result and the target side by side, at full resolution.

    Args:
        image: (H, W, 3), the input.
        result: (scale * H, scale * W, 3).
        target: of about the same size, or ``None``.
        scale: magnification of the result.

    Returns:
        (h, w, 3), with ``h`` at most ``STRIP_SIDE``.
    """
    height, width = result.shape[:2]
    bicubic = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    panels = [bicubic if scale > 1 else image, result, *([target] if target is not None else [])]
    side = min(STRIP_SIDE, *(min(panel.shape[:2]) for panel in panels))
    gap = np.full((side, STRIP_GAP, 3), 255, np.uint8)
    parts = [part for panel in panels for part in (_center(panel, side), gap)]
    return np.hstack(parts[:-1])


def _center(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]
