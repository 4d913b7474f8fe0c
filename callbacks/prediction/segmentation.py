"""The files that ``predict`` writes for segmentation: masks, cutouts, overlays, composites, probabilities, outlines."""

import csv
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.output_file import save_jpeg, save_png
from callbacks.prediction.annotations import coco_line, save_labelme
from callbacks.prediction.matting import composite, resize_probability, resize_to_cover
from callbacks.prediction.outlines import Draw
from callbacks.prediction.regions import Cleaning
from callbacks.prediction.segmentation_layers import SegmentationLayers
from callbacks.prediction.writer import SourceImage

#: Kinds of files, with a description of their content.
KINDS = {
    "mask": "PNG, 0 and 255, or class indices if there are several classes",
    "cutout": "PNG, transparent around the subject",
    "overlay": "JPEG, the image tinted by class",
    "composite": "JPEG, the subject in front of the new background",
    "probability": "16-bit PNG, 65535 means probability 1",
    "labelme": "JSON of labelme, a polygon for each region",
}
_SUFFIX = {
    **{"mask": ".png", "cutout": ".png", "overlay": ".jpg", "composite": ".jpg", "probability": ".png"},
    "labelme": ".json",
}
#: Kinds that need the pixels of the image.
NEEDS_IMAGE = frozenset({"cutout", "overlay", "composite"})


class SegmentationFiles:
    """Writes the chosen kinds of files, each kind into its own folder.

    ``mask/NAME.png``: 0 and 255 for one class; class indices with a palette for several.
    ``cutout/NAME.png``: RGBA with a soft edge. ``overlay/NAME.jpg``: the image tinted by class.
    ``composite/NAME.jpg``: the cutout on ``background``. ``probability/NAME.png``: 16 bits, 65535 means probability 1;
    for several classes one folder per class, ``probability/CLASS/NAME.png``. ``labelme/NAME.json``: polygons that
    enclose the regions. All have the size of the image, upright.

    Args:
        folder: where the folders are created.
        kinds: which of ``KINDS`` to write.
        classes: names of the classes; a single name means that class against background.
        colors: (C, 3) uint8 RGB, one color per class.
        threshold: probability from which a pixel belongs to the single class.
        cutout_classes: indices of the classes that a cutout keeps.
        background: (h, w, 3) RGB, resized to cover each image.
        run_lengths: encodes a mask as text for the table of all images; ``None`` for no such table.
        draw_coco: draws a polygon as readers of COCO's files do; gives the lines of ``join_coco``.
        draw_labelme: draws a polygon as labelme does; needed for the kind ``labelme``.
        read: reads the pixels of an image that comes without them, for the kinds in ``NEEDS_IMAGE``: only the images
            that are being written are in memory then.
        cleaning: how masks are cleaned before they are written; cutouts and composites follow the mask, probabilities
            stay as the network gave them.
    """

    def __init__(
        self,
        *,
        folder: Path,
        kinds: frozenset[str],
        classes: Sequence[str],
        colors: NDArray[np.uint8],
        threshold: float,
        cutout_classes: Sequence[int] = (0,),
        background: NDArray[np.uint8] | None = None,
        run_lengths: Callable[[NDArray[np.uint8]], str] | None = None,
        draw_coco: Draw | None = None,
        draw_labelme: Draw | None = None,
        read: Callable[[Path], NDArray[np.uint8]] | None = None,
        cleaning: Cleaning | None = None,
    ) -> None:
        self.folder, self.kinds, self.classes = folder, kinds, classes
        self.background, self.run_lengths = background, run_lengths
        self.draw_coco, self.draw_labelme, self.read = draw_coco, draw_labelme, read
        self.layers = SegmentationLayers(
            classes=classes, colors=colors, threshold=threshold, cutout_classes=cutout_classes, cleaning=cleaning
        )

    def write(self, prediction: NDArray[Any], image: SourceImage) -> str | None:
        """Writes the files of one image.

        Args:
            prediction: (C, S, S) float32 probabilities; or (1, H, W) uint8 class numbers at the image's size (1 for the
                single class), from which masks and overlays can be written.
            image: the image. Kinds in ``NEEDS_IMAGE`` need its pixels, or ``read``.

        Returns:
            The line of the table: ``file name,run lengths``, or that of ``coco_line``; or ``None``.

        Raises:
            OutputError: if a file cannot be written.
            DataError: if the image cannot be read; nothing is written then.
        """
        pixels = image.pixels
        if pixels is None and self.read is not None and self.kinds & NEEDS_IMAGE:
            pixels = self.read(Path(image.path))
        segmented = self.layers.segment(prediction, image.size)
        classes = segmented.classes
        if "mask" in self.kinds:
            palette = None if len(self.classes) == 1 else self.layers.colors
            save_png(self._path("mask", image.name), self.layers.mask(segmented), palette=palette)
        if self.draw_labelme is not None and "labelme" in self.kinds:
            save_labelme(self._path("labelme", image.name), classes, image, self.classes, self.draw_labelme)
        if "probability" in self.kinds:
            self._probabilities(prediction, image)
        if pixels is not None:
            if "overlay" in self.kinds:
                save_jpeg(self._path("overlay", image.name), self.layers.overlay(segmented, pixels))
            if self.kinds & {"cutout", "composite"}:
                self._cut(self.layers.cutout(segmented, pixels), image)
        if self.draw_coco is not None:
            return coco_line(classes, image, self.classes, self.draw_coco)
        return None if self.run_lengths is None else _csv_line(PurePath(image.path).name, self.run_lengths(classes))

    def paths(self, name: str) -> list[Path]:
        """The files that are written for the image ``name``."""
        single = [self._path(kind, name) for kind in sorted(self.kinds - {"probability"})]
        return [*single, *(self._probability_paths(name) if "probability" in self.kinds else [])]

    def describe(self) -> list[str]:
        """One line per kind of file: its folder and its content."""
        return [f"{kind}/  {what}" for kind, what in KINDS.items() if kind in self.kinds]

    def _probabilities(self, prediction: NDArray[np.float32], image: SourceImage) -> None:
        for path, prob in zip(self._probability_paths(image.name), prediction, strict=True):
            save_png(path, np.rint(resize_probability(prob, image.size) * 65535).astype(np.uint16))

    def _probability_paths(self, name: str) -> list[Path]:
        if len(self.classes) == 1:
            return [self._path("probability", name)]
        return [self._path("probability", f"{label.replace('/', '-')}/{name}") for label in self.classes]

    def _cut(self, cutout: NDArray[np.uint8], image: SourceImage) -> None:
        if "cutout" in self.kinds:
            save_png(self._path("cutout", image.name), cutout)
        if "composite" in self.kinds and self.background is not None:
            background = resize_to_cover(self.background, image.size)
            save_jpeg(self._path("composite", image.name), composite(cutout, background))

    def _path(self, kind: str, name: str) -> Path:
        return self.folder / kind / f"{name}{_SUFFIX[kind]}"


def _csv_line(*fields: str) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
