"""The files that segmentation writes of one image: mask, cut-out, overlay, composite, probabilities."""

import csv
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from callbacks.output_file import save_jpeg, save_png
from callbacks.prediction.matting import (
    composite,
    cover,
    cut_out,
    likeliest_class,
    overlay,
    resize_probability,
    soft_alpha,
)
from callbacks.prediction.writer import Source

KINDS = {  # with what is in their files
    "mask": "PNG, 0 and 255, or class numbers where there are several",
    "cutout": "PNG, transparent around the subject",
    "overlay": "JPEG, the image tinted by class",
    "composite": "JPEG, the subject before the new background",
    "probability": "PNG of 16 bits, 65535 is certain",
}
_SUFFIX = {"mask": ".png", "cutout": ".png", "overlay": ".jpg", "composite": ".jpg", "probability": ".png"}
# Those that show the image itself, at its own size.
NEEDS_IMAGE = frozenset({"cutout", "overlay", "composite"})


class SegmentationFiles:
    """Writes what was asked for of one image, each kind into its own folder.

    ``mask/NAME.png``: 0 and 255 for one class; class numbers with a palette for several.
    ``cutout/NAME.png``: RGBA with a soft edge. ``overlay/NAME.jpg``: the image tinted by class.
    ``composite/NAME.jpg``: the cut-out on ``background``. ``probability/NAME.png``: 16 bits, 65535 is certain; for
    several classes one folder a class, ``probability/CLASS/NAME.png``. All at the image's own size, upright.

    Args:
        folder: where the folders are made.
        kinds: which of ``KINDS`` to write.
        classes: names of the classes; one name means that class against background.
        colors: (C, 3) uint8 RGB, one a class (for one class, its own).
        threshold: probability from which a pixel counts as the one class.
        cut: numbers of the classes that a cut-out keeps.
        background: (h, w, 3) RGB, scaled to cover each image.
        run_lengths: writes a mask as text, for a table of all images; ``None`` for no table.
    """

    def __init__(
        self,
        *,
        folder: Path,
        kinds: frozenset[str],
        classes: Sequence[str],
        colors: NDArray[np.uint8],
        threshold: float,
        cut: Sequence[int] = (0,),
        background: NDArray[np.uint8] | None = None,
        run_lengths: Callable[[NDArray[np.uint8]], str] | None = None,
    ) -> None:
        self.folder, self.kinds, self.classes, self.colors = folder, kinds, classes, colors
        self.threshold, self.cut, self.background, self.run_lengths = threshold, list(cut), background, run_lengths

    def write(self, prediction: NDArray[np.float32], image: Source) -> str | None:
        """Writes the files of one image.

        Args:
            prediction: (C, S, S) probabilities.
            image: the image; its pixels must be there if a kind of ``NEEDS_IMAGE`` is wanted.

        Returns:
            ``file name,run lengths`` as the table wants it, or ``None``.

        Raises:
            OutputError: if a file could not be written.
        """
        if len(self.classes) == 1:
            classes = (resize_probability(prediction[0], image.size) >= self.threshold).astype(np.uint8)
        else:
            classes = likeliest_class(prediction, image.size)
        if "mask" in self.kinds:
            self._mask(classes, image)
        if "probability" in self.kinds:
            self._probabilities(prediction, image)
        if image.pixels is not None:
            self._images(prediction, classes, image, image.pixels)
        return None if self.run_lengths is None else _csv_line(PurePath(image.path).name, self.run_lengths(classes))

    def paths(self, name: str) -> list[Path]:
        """The files of the image whose results are called ``name``."""
        one_each = [self._path(kind, name) for kind in sorted(self.kinds - {"probability"})]
        return [*one_each, *(self._probability_paths(name) if "probability" in self.kinds else [])]

    def described(self) -> list[str]:
        """A line for each kind of file: its folder, and what the files hold."""
        return [f"{kind}/  {what}" for kind, what in KINDS.items() if kind in self.kinds]

    def _mask(self, classes: NDArray[np.uint8], image: Source) -> None:
        if len(self.classes) == 1:
            save_png(self._path("mask", image.name), classes * np.uint8(255))
        else:
            save_png(self._path("mask", image.name), classes, palette=self.colors)

    def _probabilities(self, prediction: NDArray[np.float32], image: Source) -> None:
        for path, prob in zip(self._probability_paths(image.name), prediction, strict=True):
            save_png(path, np.rint(resize_probability(prob, image.size) * 65535).astype(np.uint16))

    def _probability_paths(self, name: str) -> list[Path]:
        if len(self.classes) == 1:
            return [self._path("probability", name)]
        return [self._path("probability", f"{label.replace('/', '-')}/{name}") for label in self.classes]

    def _images(
        self,
        prediction: NDArray[np.float32],
        classes: NDArray[np.uint8],
        image: Source,
        pixels: NDArray[np.uint8],
    ) -> None:
        if "overlay" in self.kinds:
            one = len(self.classes) == 1
            colors = np.concatenate([np.zeros((1, 3), np.uint8), self.colors]) if one else self.colors
            shown = overlay(pixels, classes, colors, untouched=0 if one else None)
            save_jpeg(self._path("overlay", image.name), shown)
        if not self.kinds & {"cutout", "composite"}:
            return
        prob = resize_probability(prediction[self.cut].sum(axis=0), image.size)
        magnification = max(pixels.shape[0] / prediction.shape[1], pixels.shape[1] / prediction.shape[2])
        middle = self.threshold if len(self.classes) == 1 else 0.5
        cutout = cut_out(pixels, soft_alpha(prob, magnification=magnification, middle=middle))
        if "cutout" in self.kinds:
            save_png(self._path("cutout", image.name), cutout)
        if "composite" in self.kinds and self.background is not None:
            shown = composite(cutout, cover(self.background, image.size))
            save_jpeg(self._path("composite", image.name), shown)

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}{_SUFFIX[kind]}"


def _csv_line(*fields: str) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
