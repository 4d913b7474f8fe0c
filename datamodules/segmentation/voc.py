"""Pascal VOC's layout: class numbers as palette masks of some of the images, and lists of the splits."""

from pathlib import Path

from datamodules.errors import DataError
from datamodules.index.splits import SPLIT_NAMES, Split

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
IGNORE = 255
#: The classes in the order of their numbers.
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def is_voc(root: Path) -> bool:
    """Whether ``root`` has the folders of Pascal VOC."""
    return all((root / name).is_dir() for name in (IMAGES, MASKS, LISTS))


def read_splits(root: Path) -> dict[str, Split]:
    """The split of each image by its stem, from ``train.txt``, ``val.txt`` and ``test.txt``.

    Raises:
        DataError: if a list cannot be read.
    """
    splits: dict[str, Split] = {}
    for word, split in SPLIT_NAMES.items():
        listing = root / LISTS / f"{word}.txt"
        if not listing.is_file():
            continue
        try:
            lines = listing.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{listing}: cannot be read: {error}") from error
        splits |= {line.split()[0]: split for line in lines if line.strip()}
    return splits
