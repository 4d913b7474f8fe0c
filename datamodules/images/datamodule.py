"""Any folder of images: checked once, split by image, copied small. What to make of them a subclass says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.cache.cache import Item
from datamodules.cache.encodings import IMAGE
from datamodules.errors import DataError
from datamodules.files import FileDataModule
from datamodules.images.check import ImageFile, find_images, left_out, left_out_line, look_at_images
from datamodules.index.problems import skipped_lines
from datamodules.index.splits import Split, held_out, subsample
from datamodules.samples.images import ensure_sample_images

#: Folders below the root that are splits, where one of them is not for training.
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class ImageSplits:
    """A folder that is found, checked and split.

    Args:
        root: the folder.
        splits: the images of each split after ``keep_pct``; those of ``test`` are those of ``val`` where there
            are no others.
    """

    root: Path
    splits: dict[Split, list[ImageFile]]


class ImagesDataModule(FileDataModule):
    """Images in class folders or flat, at any depth, in the formats people have.

    Where the root has folders ``train`` and ``val`` (also ``valid``, ``validation``, ``test``), they are the splits;
    else a share of all images is held out, by a hash of their names: the same ones on every machine.

    Args:
        val_share: fraction of the kept images that is held out for validation; ``None`` is the lesson's
            ``min(0.01 / keep_pct, 0.1)``.
        side: images whose shorter side is longer than this many pixels are first resized to it, and cached so, which
            also removes noise and JPEG artifacts.
        **options: of ``FileDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(self, *, val_share: float | None = None, side: int = 512, **options: Any) -> None:
        super().__init__(**options)
        if side < 1:
            raise ValueError(f"side must be at least 1, not {side}")
        self.side, self._val_share = side, val_share
        self._found: ImageSplits | None = None
        self._unwanted = 0

    def sample_root(self) -> Path:
        """Images that ship with scikit-image, written into the cache folder on the first call."""
        return ensure_sample_images(self._cache_folder / "sample_images")

    def wants(self, image: ImageFile) -> bool:  # noqa: ARG002 - a subclass may be choosier
        """Whether an image is used at all."""
        return True

    def image_splits(self) -> ImageSplits:
        """The checked and split images; looked at on the first call.

        Raises:
            DataError: naming everything that is wrong with them.
        """
        if self._found is None:
            root = self.data_root()
            paths = find_images(root)
            self._digest = self.cache.pin(root, paths)
            sound, self.skipped = look_at_images(
                root,
                paths,
                stamps=self._checks,
                on_bad=self._on_bad,
                workers=self._preparing_workers(),
            )
            images = [image for image in sound if self.wants(image)]
            self._unwanted = len(sound) - len(images)
            if not images:
                raise DataError(f"all {len(sound)} images in {root} are without colors, and left out")
            self._found = ImageSplits(root=root, splits=self._split(root, images))
        return self._found

    def describe(self) -> list[str]:
        """Says how many images there are, how they are split and how large they are."""
        found = self.image_splits()
        splits = [f"{split} {len(images)}" for split, images in found.splits.items()]
        if found.splits["test"] == found.splits["val"]:
            splits[-1] = "test as val"
        shorter = sorted(image.shorter(10**9) for images in found.splits.values() for image in images)
        lines = [
            f"data: {found.root}",
            "  split: " + ", ".join(splits),
            f"  shorter sides: {shorter[0]} to {shorter[-1]} px, half of them {shorter[len(shorter) // 2]} or more; "
            f"used with {self.side} at most",
        ]
        if self._unwanted:
            lines.append(f"  left out, without colors: {self._unwanted}")
        lines += skipped_lines(self.skipped)
        others = left_out(found.root) if self.root is not None else []
        return [*lines, left_out_line(others)] if others else lines

    def fill_cache(self, size: int, images: Sequence[ImageFile], *, whole: bool) -> None:
        """Makes the copies that loaders will read.

        Args:
            size: shorter side of whole copies, or side of squares.
            images: which.
            whole: whether copies keep the images' proportions or are squashed to squares.
        """
        start = time.monotonic()
        items = [Item(image.path, image.kind if whole else IMAGE) for image in images]
        self.cache.fill(items, size, workers=self._preparing_workers())
        print(f"  copies at {size} px: ready after {time.monotonic() - start:.1f} s in {self.cache.folder}")

    def _split(self, root: Path, images: Sequence[ImageFile]) -> dict[Split, list[ImageFile]]:
        parts: dict[Split, list[ImageFile]] = {"train": [], "val": [], "test": []}
        own = {image.name: _SPLITS.get(image.name.partition("/")[0]) for image in images}
        official = "val" in own.values()
        if official and (stray := [name for name, split in own.items() if split is None]):
            raise DataError(
                f"{root} has images in folders called train and val, and {len(stray)} beside them (such as "
                f"{stray[0]}): put each into one of the two, or all into one folder"
            )
        if official:
            for image in images:
                parts[own[image.name] or "train"].append(image)
            parts = {name: self._kept(chosen) if chosen else [] for name, chosen in parts.items()}
        else:
            kept = self._kept(images)
            share = min(0.01 / self._keep_pct, 0.1) if self._val_share is None else self._val_share
            val = held_out((image.name for image in kept), share=share, seed=self._split_seed)
            for image in kept:
                parts["val" if image.name in val else "train"].append(image)
        parts["test"] = parts["test"] or parts["val"]
        for name, chosen in parts.items():
            if not chosen:
                raise DataError(f"no image is in the split '{name}' of {root}: give it at least one")
        return parts

    def _kept(self, images: Sequence[ImageFile]) -> list[ImageFile]:
        return subsample(images, share=self._keep_pct, name=lambda image: image.name, seed=self._split_seed)
