"""The split of each image: by folders named after splits, else by a hash of the names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError
from datamodules.images.check import ImageFile
from datamodules.index.splits import Split, held_out, subsample

#: Top-level folders that are splits, if one of them is for validation.
_SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class ImageSplits:
    """Checked images by split.

    Args:
        root: the data's root.
        splits: images of each split after ``keep_pct``; ``test`` equals ``val`` if there are no test images.
    """

    root: Path
    splits: dict[Split, list[ImageFile]]


def split_images(
    root: Path, images: Sequence[ImageFile], *, keep_pct: float, val_share: float | None, seed: int
) -> ImageSplits:
    """Divides images into training, validation and test.

    Args:
        root: the data's root.
        images: the images to divide.
        keep_pct: fraction of the images that is kept.
        val_share: fraction of the kept images that is held out if the folders are no splits; ``None`` is
            ``min(0.01 / keep_pct, 0.1)``.
        seed: selects the images to keep and to hold out.

    Raises:
        DataError: if a split has no image, or only some of the images lie in folders of splits.
    """
    splits: dict[Split, list[ImageFile]] = {"train": [], "val": [], "test": []}
    by_folder = {image.name: _SPLIT_FOLDERS.get(image.name.partition("/")[0]) for image in images}
    if "val" in by_folder.values():
        if unassigned := [name for name, split in by_folder.items() if split is None]:
            raise DataError(
                f"{root} has images in folders called train and val, and {len(unassigned)} beside them (such as "
                f"{unassigned[0]}): put each into one of the two, or all into one folder"
            )
        for image in images:
            splits[by_folder[image.name] or "train"].append(image)
        splits = {split: _kept(chosen, keep_pct, seed) if chosen else [] for split, chosen in splits.items()}
    else:
        kept = _kept(images, keep_pct, seed)
        share = min(0.01 / keep_pct, 0.1) if val_share is None else val_share
        val = held_out((image.name for image in kept), share=share, seed=seed)
        for image in kept:
            splits["val" if image.name in val else "train"].append(image)
    splits["test"] = splits["test"] or splits["val"]
    for split, chosen in splits.items():
        if not chosen:
            raise DataError(f"{root} has no image in the split '{split}': add at least one")
    return ImageSplits(root=root, splits=splits)


def _kept(images: Sequence[ImageFile], keep_pct: float, seed: int) -> list[ImageFile]:
    return subsample(images, share=keep_pct, name=lambda image: image.name, seed=seed)
