"""Converts one annotated image: draws its mask, writes it, and links the image."""

import base64
import binascii
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.annotations.annotation_set import (
    BACKGROUND_LABELS,
    IGNORE_LABELS,
    AnnotatedImage,
    Annotation,
    Overlap,
    Patch,
    RegionError,
    Skipped,
)
from datamodules.annotations.color_masks import IGNORE, ColorMask, ColorTable
from datamodules.annotations.documents import read_json
from datamodules.annotations.palettes import voc_color
from datamodules.errors import DataError
from datamodules.io.image_file import Header, apply_orientation, read_header

_PALETTE = bytes(value for number in range(256) for value in voc_color(number))
_INVERSE_ORIENTATION = {6: 8, 8: 6}  # the others are their own inverse


@dataclass(frozen=True, kw_only=True)
class Job:
    """An image to convert.

    Args:
        item: the image with its annotations or its mask.
        image_file: where the image is linked or copied to.
        mask_file: where the mask is written.
    """

    item: AnnotatedImage | ColorMask
    image_file: Path
    mask_file: Path


@dataclass(kw_only=True)
class Converted:
    """What became of the annotations of one image.

    Args:
        used: annotations by label.
        pixels: pixels of the mask by class number.
        skipped: annotations that were not used.
        overlap: pixels that several annotations cover.
        hidden: annotations that others cover completely.
        unknown: pixels by color that the palette lacks.
        linked: whether the image is a hard link and not a copy.
    """

    used: Counter[str] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
    overlap: int = 0
    hidden: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    linked: bool = False


@dataclass(frozen=True, kw_only=True)
class Converter:
    """Converts images; sent to the processes of a pool.

    Args:
        numbers: class number by label. Annotations with other labels are not used.
        overlap: which annotation wins where several cover a pixel.
        crowds: whether crowds are drawn as objects; else their pixels are ignored.
        table: of color-coded masks.
    """

    numbers: Mapping[str, int]
    overlap: Overlap = "order"
    crowds: bool = False
    table: ColorTable | None = None

    def __call__(self, job: Job) -> Converted:
        """Writes mask and image.

        Raises:
            DataError: if the image or the mask cannot be read, or their sizes differ.
        """
        result = Converted()
        job.mask_file.parent.mkdir(parents=True, exist_ok=True)
        job.image_file.parent.mkdir(parents=True, exist_ok=True)
        embedded = isinstance(job.item, AnnotatedImage) and job.item.embedded
        if embedded:
            job.image_file.write_bytes(_embedded_image(job.item.image))
        try:
            mask = self._mask(job.item, read_header(job.image_file if embedded else job.item.image), result)
        except DataError:
            job.image_file.unlink(missing_ok=True)  # an image without a mask would be refused in training
            raise
        values, counts = np.unique(mask, return_counts=True)
        result.pixels = Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        image = Image.fromarray(mask)
        image.putpalette(_PALETTE)
        buffer = BytesIO()
        image.save(buffer, "PNG")
        job.mask_file.write_bytes(buffer.getvalue())
        result.linked = not embedded and _link(job.item.image, job.image_file)
        return result

    def _mask(self, item: AnnotatedImage | ColorMask, header: Header, result: Converted) -> NDArray[np.uint8]:
        if isinstance(item, ColorMask):
            return self._from_colors(item, header, result)
        return self._from_regions(item, header, result)

    def _from_colors(self, item: ColorMask, header: Header, result: Converted) -> NDArray[np.uint8]:
        if self.table is None:
            raise RuntimeError("a table of colors is needed for color-coded masks")
        mask, result.unknown = self.table.apply(item.mask)
        result.used["mask"] += 1
        if mask.shape not in ((header.height, header.width), header.displayed):
            raise DataError(
                f"{item.mask}: is {mask.shape[1]} x {mask.shape[0]}, its image {header.width} x {header.height}"
            )
        return mask

    def _from_regions(self, item: AnnotatedImage, header: Header, result: Converted) -> NDArray[np.uint8]:
        """Draws in the orientation that the annotations were made in, and returns the mask as the image is stored."""
        stored = (header.height, header.width)
        if item.size not in (None, header.displayed, stored):
            raise DataError(
                f"{item.image}: is {header.width} x {header.height}, its annotations are for an image of "
                f"{item.size[1]} x {item.size[0]}"
            )
        upright = item.size in (None, header.displayed)
        mask = self._draw(item.annotations, *(header.displayed if upright else stored), result)
        if not upright:
            return mask
        return apply_orientation(mask, _INVERSE_ORIENTATION.get(header.orientation, header.orientation))

    def _draw(self, annotations: Sequence[Annotation], height: int, width: int, result: Converted) -> NDArray[np.uint8]:
        drawn: list[tuple[Annotation, int, Patch]] = []
        for annotation in annotations:
            number = self._number(annotation)
            if number is None:
                result.skipped.append(Skipped(f"class '{annotation.label}' is not in --classes", annotation.where))
                continue
            try:
                patch = annotation.region.draw(height, width)
            except RegionError as error:
                result.skipped.append(Skipped(str(error), annotation.where))
                continue
            if not patch.pixels.any():
                result.skipped.append(Skipped("region that covers no pixel of the image", annotation.where))
                continue
            result.used[annotation.label] += 1
            drawn.append((annotation, number, patch))
        if self.overlap == "area":
            drawn.sort(key=lambda one: -int(one[2].pixels.sum()))  # a stable sort: equal areas keep their order
        drawn.sort(key=lambda one: not self._is_ignored_crowd(one[0]))  # below all others
        mask = np.zeros((height, width), np.uint8)
        owner = np.full((height, width), -1, np.int32)
        covered = np.zeros((height, width), np.bool_)
        for place, (_, number, (top, left, pixels)) in enumerate(drawn):
            window = slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1])
            covered[window] |= pixels & (owner[window] >= 0)
            mask[window][pixels], owner[window][pixels] = number, place
        result.overlap = int(covered.sum())
        result.hidden = len(drawn) - len(set(np.unique(owner).tolist()) - {-1})
        return mask

    def _number(self, annotation: Annotation) -> int | None:
        if annotation.label in IGNORE_LABELS or self._is_ignored_crowd(annotation):
            return IGNORE
        if annotation.label in BACKGROUND_LABELS and annotation.label not in self.numbers:
            return 0
        return self.numbers.get(annotation.label)

    def _is_ignored_crowd(self, annotation: Annotation) -> bool:
        return annotation.crowd and not self.crowds and annotation.label in self.numbers


def _embedded_image(file: Path) -> bytes:
    """Decodes the image inside a file of labelme.

    Raises:
        DataError: if it is malformed.
    """
    try:
        return base64.b64decode(read_json(file)["imageData"], validate=True)
    except binascii.Error as error:
        raise DataError(f"{file}: its imageData is malformed") from error


def _link(source: Path, target: Path) -> bool:
    """Makes a hard link, or a copy where the file system has none; returns whether it is a link."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
        return False
    return True
