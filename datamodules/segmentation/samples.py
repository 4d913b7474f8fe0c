"""The samples of a data set: image, mask, and how both are decoded as squares or with their proportions kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datamodules.cache.cache import Item
from datamodules.cache.encodings import IMAGE, ProportionalEncoding
from datamodules.index.pairs import Pair
from datamodules.index.splits import Split
from datamodules.segmentation.check import CheckResult
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding


@dataclass(frozen=True)
class Sample:
    """An image, its mask, and how the mask's file is decoded.

    Args:
        name: relative to the data's root.
        image: file of the image.
        mask: file of the mask.
        encoding: encoding of the mask as a square.
        shape: height and width of the image as displayed.
    """

    name: str
    image: Path
    mask: Path
    encoding: CoverageEncoding | ClassesEncoding
    shape: tuple[int, int]

    @property
    def coverage(self) -> bool:
        """Whether the mask holds foreground coverage rather than class numbers."""
        return isinstance(self.encoding, CoverageEncoding)

    @property
    def whole_image(self) -> ProportionalEncoding:
        """Encoding of the image with its proportions kept."""
        return ProportionalEncoding(*self.shape)

    @property
    def whole_mask(self) -> CoverageEncoding | ClassesEncoding:
        """Encoding of the mask with the proportions of the image."""
        return replace(self.encoding, whole=self.shape)


def make_samples(
    parts: Mapping[Split, Sequence[Pair]], check: CheckResult, *, one_class: bool
) -> dict[Split, list[Sample]]:
    """Combines the files of every split with what the check found out about them."""
    label_map = LabelMap(check.mapping)
    encoding = CoverageEncoding if one_class else ClassesEncoding
    encodings = {orientation: encoding(label_map, orientation) for orientation in range(1, 9)}
    return {
        split: [
            Sample(p.name, p.image, p.mask, encodings[check.orientations.get(p.name, 1)], check.shapes[p.name])
            for p in pairs
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
    if whole:
        return [item for s in unique.values() for item in (Item(s.image, s.whole_image), Item(s.mask, s.whole_mask))]
    return [item for s in unique.values() for item in (Item(s.image, IMAGE), Item(s.mask, s.encoding))]
