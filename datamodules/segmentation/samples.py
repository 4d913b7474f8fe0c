"""The samples of a data set: image, mask, and how both are decoded as squares or with their proportions kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.cache.cache import ImageCache, Item
from datamodules.cache.encodings import BandsEncoding, ImageEncoding, ProportionalEncoding, bands_encoding
from datamodules.index.pairs import Pair
from datamodules.index.splits import Split
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.segmentation.check import CheckResult
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding


@dataclass(frozen=True)
class Sample:
    """An image, its mask, and how both are decoded.

    Args:
        name: relative to the data's root.
        image: file of the image.
        mask: file of the mask.
        encoding: encoding of the mask as a square.
        shape: height and width of the image as displayed.
        bands: encoding of an image that is not RGB, as a square.
        bits: bits that an RGB image uses if it has 16.
    """

    name: str
    image: Path
    mask: Path
    encoding: CoverageEncoding | ClassesEncoding
    shape: tuple[int, int]
    bands: BandsEncoding | None = None
    bits: int = FULL_BITS

    @property
    def coverage(self) -> bool:
        """Whether the mask holds foreground coverage rather than class numbers."""
        return isinstance(self.encoding, CoverageEncoding)

    def image_encoding(self, *, whole: bool) -> ImageEncoding | ProportionalEncoding | BandsEncoding:
        """Encoding of the image, as a square or with its proportions kept."""
        if self.bands is not None:
            return replace(self.bands, whole=self.shape) if whole else self.bands
        return ProportionalEncoding(*self.shape, self.bits) if whole else ImageEncoding(self.bits)

    def image_item(self, *, whole: bool) -> Item:
        """The image for the cache."""
        return Item(self.image, self.image_encoding(whole=whole))

    def mask_item(self, *, whole: bool) -> Item:
        """The mask for the cache."""
        return Item(self.mask, self.whole_mask if whole else self.encoding)

    @property
    def whole_mask(self) -> CoverageEncoding | ClassesEncoding:
        """Encoding of the mask with the proportions of the image."""
        return replace(self.encoding, whole=self.shape)

    def pixels(self, cache: ImageCache, size: int, *, whole: bool) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The image ``(h, w, C)``, a new array.

        Raises:
            DataError: if the file was removed or damaged since it was checked.
        """
        stored = cache.get(self.image, size, self.image_encoding(whole=whole))
        return stored if self.bands is None else BandsEncoding.pixels(stored)


def make_samples(
    parts: Mapping[Split, Sequence[Pair]],
    check: CheckResult,
    *,
    one_class: bool,
    layout: BandLayout | None,
    bits: int = FULL_BITS,
) -> dict[Split, list[Sample]]:
    """Combines the files of every split with what the check found out about them.

    Args:
        parts: images and masks by split.
        check: values, sizes and orientations.
        one_class: whether masks hold foreground coverage instead of class numbers.
        layout: channels of the images; ``None`` for RGB images.
        bits: bits that 16-bit RGB images use.

    Raises:
        DataError: if a file of an image is missing.
    """
    label_map = LabelMap(check.mapping)
    encoding = CoverageEncoding if one_class else ClassesEncoding
    encodings = {orientation: encoding(label_map, orientation) for orientation in range(1, 9)}
    return {
        split: [
            Sample(
                name=pair.name,
                image=pair.image,
                mask=pair.mask,
                encoding=encodings[check.orientations.get(pair.name, 1)],
                shape=check.shapes[pair.name],
                bands=None if layout is None else bands_encoding(layout, pair.image),
                bits=bits,
            )
            for pair in pairs
        ]
        for split, pairs in parts.items()
    }


def cache_items(samples: Mapping[Split, Iterable[Sample]], *, whole: bool) -> list[Item]:
    """Every image and mask once, with its cache encoding.

    Args:
        samples: samples by split.
        whole: whether images keep their proportions.
    """
    unique = {sample.name: sample for split in samples.values() for sample in split}
    return [
        item for sample in unique.values() for item in (sample.image_item(whole=whole), sample.mask_item(whole=whole))
    ]
