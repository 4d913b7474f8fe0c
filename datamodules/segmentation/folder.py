"""Images and masks of one's own: two folders, a class list, and whatever split there is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.pairs import Pair, pair_by_stem
from datamodules.index.problems import Problem
from datamodules.index.splits import Split, group_pairs, read_split_file, straddling
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.labels import Labels
from datamodules.segmentation.summary import Found

SPLIT_FIELD = "{split}"
SPLITS: tuple[Split, ...] = ("train", "val", "test")


class FolderDataModule(SegmentDataModule):
    """Any images with masks of the same names, in folders of their own.

    Three layouts, told apart by ``image_dir`` and ``mask_dir``:

    * ``images/`` and ``masks/``: groups are held out, or a split file says who validates;
    * the same two folders inside ``train/`` and ``val/`` (and ``test/``), found by themselves;
    * any other, with ``{split}`` where train, val or test stands, such as ``{split}`` and ``{split}annot``.

    Args:
        classes: names in the order of their numbers in the masks; a single one means foreground against everything
            else, stored as 0 and 1 or 0 and 255.
        ignore: stored value of pixels that count nowhere (several classes only).
        mask_threshold: stored value from which a pixel is foreground, for masks with soft edges (one class only).
        image_dir: folder of the images below ``root``, searched at any depth.
        mask_dir: folder of the masks below ``root``, with the same names in it.
        mask_suffix: what a mask's name has behind that of its image, such as ``_mask``.
        split_file: CSV with the columns ``name`` and ``split`` (train, val, test), relative to ``root``.
        group_pattern: regular expression on the name; images for which it (or its first parenthesis) matches the
            same text belong together and are never on both sides of a split.
        **options: of ``SegmentDataModule``.

    Raises:
        DataError: if the class list or the options contradict each other.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] = ("foreground",),
        ignore: int | None = None,
        mask_threshold: int | None = None,
        image_dir: str = "images",
        mask_dir: str = "masks",
        mask_suffix: str = "",
        split_file: str | None = None,
        group_pattern: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(labels=Labels(names=tuple(classes), ignore=ignore, threshold=mask_threshold), **options)
        if (SPLIT_FIELD in image_dir) != (SPLIT_FIELD in mask_dir):
            raise DataError(
                f"image_dir '{image_dir}' and mask_dir '{mask_dir}': {SPLIT_FIELD} must be in both or neither"
            )
        if image_dir == mask_dir and not mask_suffix:
            raise DataError(f"images and masks both in '{image_dir}' need a mask_suffix to tell them apart")
        if split_file and SPLIT_FIELD in image_dir:
            raise DataError(
                f"split_file '{split_file}' and {SPLIT_FIELD} in image_dir are two splits: keep one of them"
            )
        self._image_dir, self._mask_dir, self._mask_suffix = image_dir, mask_dir, mask_suffix
        self._split_file, self._group_pattern = split_file, group_pattern

    def find(self, root: Path) -> Found:
        """Pairs images and masks, and takes the split that comes with them.

        Raises:
            DataError: if a folder is missing or the split file cannot be read.
        """
        image_dir, mask_dir = self._layout(root)
        problems: list[Problem] = []
        pairs: list[Pair] = []
        splits: dict[str, Split] = {}
        for split in SPLITS if SPLIT_FIELD in image_dir else (None,):
            images, masks = (root / text.replace(SPLIT_FIELD, split or "") for text in (image_dir, mask_dir))
            if split == "test" and not (images.is_dir() and masks.is_dir()):
                continue  # published test sets often come without masks
            _require(root, images, masks)
            part, wrong = pair_by_stem(root, images, masks, mask_suffix=self._mask_suffix)
            pairs += part
            problems += wrong
            splits |= {pair.name: split for pair in part} if split else {}
        if self._split_file:
            splits, wrong = read_split_file(root / self._split_file, pairs)
            problems += wrong
        groups, wrong = group_pairs(pairs, self._group_pattern)
        return Found(
            pairs=pairs, groups=groups, splits=splits, problems=[*problems, *wrong, *straddling(groups, splits)]
        )

    def _layout(self, root: Path) -> tuple[str, str]:
        """The two folders, inside ``{split}`` where that is how the data is laid out."""
        inside = f"{SPLIT_FIELD}/{self._image_dir}", f"{SPLIT_FIELD}/{self._mask_dir}"
        whole, split = root / self._image_dir, root / inside[0].replace(SPLIT_FIELD, "train")
        if SPLIT_FIELD in self._image_dir or self._split_file or not split.is_dir():
            return self._image_dir, self._mask_dir
        if whole.is_dir():
            raise DataError(
                f"{root} holds both {self._image_dir} and train/{self._image_dir}: say which with --data.image_dir "
                f"and --data.mask_dir"
            )
        return inside


def _require(root: Path, *folders: Path) -> None:
    missing = [folder.relative_to(root).as_posix() for folder in folders if not folder.is_dir()]
    if missing:
        there = ", ".join(sorted(entry.name for entry in root.iterdir() if entry.is_dir())) or "none"
        raise DataError(
            f"{root} has no folder {' and no folder '.join(missing)} (its folders: {there}): "
            f"name yours with --data.image_dir and --data.mask_dir"
        )
