"""Data module for any folders of images and masks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.index.folder_scan import unused_lines
from datamodules.index.pairs import IMAGE_WITHOUT_MASK, Pair, name_below, pair_by_stem
from datamodules.index.problems import Problem
from datamodules.index.splits import Split, group_pairs, groups_across_splits, read_split_file
from datamodules.io.bands import BandLayout
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.layouts import SPLIT_FIELD, Layout, find_layout, split_folders
from datamodules.segmentation.shard_pairs import pair_in_shards, splits_of_shards
from datamodules.segmentation.summary import DatasetIndex
from datamodules.segmentation.voc import read_splits
from datamodules.storage.stored_images import StoredImages


class FolderDataModule(SegmentDataModule):
    """Images and masks with the same names, in two folders.

    Without ``image_dir`` and ``mask_dir`` the layout is found from the names of the folders: ``images/`` and
    ``masks/``, with or without ``train/`` and ``val/`` above or below them; ``train/`` beside ``trainannot/`` (CamVid)
    or ``train_masks/`` (Carvana); masks beside their images, such as ``a_mask.png``. The summary names what was found.

    In tar shards a sample is ``a.jpg`` with ``a.mask.png`` or ``a.png`` (see ``shard_pairs``), and ``mask_suffix`` is
    what follows the first dot in the names of masks.

    Any other layout is named by ``image_dir`` and ``mask_dir``, with ``{split}`` in place of train, val or test, such
    as ``{split}`` and ``{split}annot``. Folders called ``valid`` or ``validation`` are ``val``. Without such a folder
    and without a split file, groups are held out of the training images.

    PNG masks are checked by their checksums. GIF, BMP, TIFF and PPM have none: damage may go unnoticed there.

    Args:
        classes: class names in the order of their numbers in the masks. A single name means foreground against
            everything else, stored as 0 and 1, 0 and 255, or 0 and 65535; with ``ignore``, as 0 and one of the others.
        ignore: stored value of the pixels that no loss or metric counts, such as 255.
        mask_threshold: smallest stored value that is foreground, for masks with soft edges (one class only).
        image_dir: folder of the images, searched at any depth; relative to ``root``, or absolute. ``None`` finds it.
        mask_dir: folder of the masks, with the same names; relative to ``root``, or absolute. ``None`` finds it.
        mask_suffix: what follows the image's name in the name of its mask, such as ``_mask``. ``None`` finds it if
            the folders are found, too.
        split_file: CSV with the columns ``name`` and ``split`` (train, val, test), relative to ``root``.
        group_pattern: regular expression searched for in the name. Images with the same match (of the first
            parenthesis, if there is one) form a group, which is never divided between splits.
        channels: number of channels of TIFFs with more or fewer than three, or with 16 bits, all of which are kept; the
            network's ``in_channels`` must agree. ``None`` reads every image as RGB with 8 bits.
        bands: names of the bands of images with one file for each, in the order of the channels: with ``[B04, B08]``
            the image ``a`` has the files ``a_B04.tif`` and ``a_B08.tif``. Files of other bands are left out.
        show_channels: the three channels that figures show as red, green and blue, counted from 0; by default the
            first three. Each is stretched from its 2nd to its 98th percentile.
        **options: of ``SegmentDataModule``.

    Raises:
        DataError: if the class list or the options contradict each other.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | str = ("foreground",),
        ignore: int | None = None,
        mask_threshold: int | None = None,
        image_dir: str | None = None,
        mask_dir: str | None = None,
        mask_suffix: str | None = None,
        split_file: str | None = None,
        group_pattern: str | None = None,
        channels: int | None = None,
        bands: Sequence[str] = (),
        show_channels: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        names = tuple(name.strip() for name in classes.split(",")) if isinstance(classes, str) else tuple(classes)
        band_layout = _band_layout(channels, tuple(bands))
        super().__init__(
            class_list=ClassList(names=names, ignore=ignore, threshold=mask_threshold), layout=band_layout, **options
        )
        self.shown = _shown_channels(band_layout, show_channels)
        self._layout: Layout | None = None
        if image_dir is not None or mask_dir is not None:
            self._layout = Layout(
                image_dir=_expand("images" if image_dir is None else image_dir),
                mask_dir=_expand("masks" if mask_dir is None else mask_dir),
                mask_suffix=mask_suffix or "",
            )
            _check_folders(self._layout, split_file)
        self._mask_suffix, self._split_file, self._group_pattern = mask_suffix, split_file, group_pattern

    def find_pairs(self, root: Path) -> DatasetIndex:
        """Pairs images and masks, and reads the split that comes with them.

        Raises:
            DataError: if a folder is missing or the split file cannot be read.
        """
        if self.stored is not None:
            return self._find_in_shards(root, self.stored)
        layout = (
            self._layout_inside_splits(root, self._layout) if self._layout else find_layout(root, self._mask_suffix)
        )
        if self._split_file:
            _check_folders(layout, self._split_file)
        problems: list[Problem] = []
        pairs: list[Pair] = []
        splits: dict[str, Split] = {}
        folders = _folders_by_split(root, layout)
        for split, images, masks in folders:
            suffix = self.layout.suffix if self.layout else ""
            part, wrong = pair_by_stem(root, images, masks, mask_suffix=layout.mask_suffix, image_suffix=suffix)
            pairs += part
            problems += wrong
            splits |= {pair.name: split for pair in part} if split else {}
        notes = [] if self._layout else [f"  layout found: {layout}"]
        notes += unused_lines(root, (folder for _, *both in folders for folder in both))
        if layout.voc:
            listed = read_splits(root)
            splits = {pair.name: listed[pair.key] for pair in pairs if pair.key in listed}
            notes += _left_out(problems, pairs, splits)
            problems = [problem for problem in problems if problem.kind != IMAGE_WITHOUT_MASK]
            pairs = [pair for pair in pairs if pair.name in splits] if splits else pairs
        if self._split_file:
            splits, wrong = read_split_file(root / _expand(self._split_file), pairs)
            problems += wrong
            if "val" not in splits.values() and not wrong:
                raise DataError(f"no image is in the split 'val' of {self._split_file}: give it at least one")
        groups, wrong = group_pairs(pairs, self._group_pattern or layout.group_pattern)
        problems += [*wrong, *groups_across_splits(groups, splits)]
        return DatasetIndex(pairs=pairs, groups=groups, splits=splits, problems=problems, notes=notes)

    def _find_in_shards(self, root: Path, stored: StoredImages) -> DatasetIndex:
        if self._layout is not None or self.layout is not None:
            raise DataError(
                f"{self.root}: image_dir, mask_dir, channels and bands are for folders, not for tar shards: leave them "
                "out"
            )
        word = None if self._mask_suffix is None else self._mask_suffix.lstrip(".").lower()
        pairs, problems = pair_in_shards(stored, mask_word=word)
        if self._split_file:
            splits, wrong = read_split_file(root / _expand(self._split_file), pairs)
        else:
            splits, wrong = splits_of_shards(pairs)
        groups, nameless = group_pairs(pairs, self._group_pattern)
        problems += [*wrong, *nameless, *groups_across_splits(groups, splits)]
        notes = stored.describe(limit_gb=self.cache.limit_gb, window=self._shard_window)
        return DatasetIndex(pairs=pairs, groups=groups, splits=splits, problems=problems, notes=notes)

    def _layout_inside_splits(self, root: Path, layout: Layout) -> Layout:
        """The named folders, inside ``{split}`` if ``train/`` holds them."""
        inside = replace(
            layout, image_dir=f"{SPLIT_FIELD}/{layout.image_dir}", mask_dir=f"{SPLIT_FIELD}/{layout.mask_dir}"
        )
        if (
            SPLIT_FIELD in layout.image_dir
            or self._split_file
            or layout.image_dir == "."
            or Path(layout.image_dir).is_absolute()
            or "train" not in split_folders(root, inside.image_dir, inside.mask_dir)
        ):
            return layout
        if (root / layout.image_dir).is_dir():
            raise DataError(
                f"{root} holds both {layout.image_dir} and train/{layout.image_dir}: say which with --data.image_dir "
                f"and --data.mask_dir"
            )
        return inside


def _band_layout(channels: int | None, bands: tuple[str, ...]) -> BandLayout | None:
    if channels is not None and channels < 1:
        raise DataError(f"channels must be at least 1, not {channels}")
    if len(set(bands)) < len(bands):
        raise DataError(f"bands names a band twice: {', '.join(bands)}")
    if bands and channels not in (None, len(bands)):
        raise DataError(f"channels is {channels}, but bands names {len(bands)}: leave channels out")
    count = len(bands) or channels
    return None if count is None else BandLayout(count, bands)


def _shown_channels(layout: BandLayout | None, asked: Sequence[int] | None) -> tuple[int, ...] | None:
    """The channels that figures show; ``None`` for RGB images."""
    if layout is None:
        if asked is not None:
            raise DataError("show_channels is for images with channels or bands: name these too, or leave it out")
        return None
    shown = tuple(asked) if asked is not None else (0, 1, 2) if layout.channels >= 3 else (0, 0, 0)
    if len(shown) != 3 or not all(0 <= channel < layout.channels for channel in shown):
        raise DataError(f"show_channels must be three numbers from 0 to {layout.channels - 1}, not {list(shown)}")
    return shown


def _folders_by_split(root: Path, layout: Layout) -> list[tuple[Split | None, Path, Path]]:
    """Folders of images and masks, which exist, by split; ``None`` if the layout has no splits."""
    if SPLIT_FIELD not in layout.image_dir:
        images, masks = root / layout.image_dir, root / layout.mask_dir
        _require(root, images, masks)
        return [(None, images, masks)]
    found = split_folders(root, layout.image_dir, layout.mask_dir)
    for split, (images, masks) in list(found.items()):
        if split == "test" and not masks.is_dir():
            del found[split]  # published test sets often come without masks
        else:
            _require(root, images, masks)
    if "train" not in found:
        _require(root, *(root / text.replace(SPLIT_FIELD, "train") for text in (layout.image_dir, layout.mask_dir)))
    return [(split, images, masks) for split, (images, masks) in found.items()]


def _left_out(problems: Sequence[Problem], pairs: Sequence[Pair], splits: Mapping[str, Split]) -> list[str]:
    """A line for the summary about the images of VOC that are not used."""
    without = sum(problem.kind == IMAGE_WITHOUT_MASK for problem in problems)
    unlisted = sum(pair.name not in splits for pair in pairs) if splits else 0
    lines = [f"{without} images without a mask"] if without else []
    lines += [f"{unlisted} images that no list names"] if unlisted else []
    return [f"  left out: {', '.join(lines)}"] if lines else []


def _check_folders(layout: Layout, split_file: str | None) -> None:
    image_dir, mask_dir = layout.image_dir, layout.mask_dir
    if (SPLIT_FIELD in image_dir) != (SPLIT_FIELD in mask_dir):
        raise DataError(f"image_dir '{image_dir}' and mask_dir '{mask_dir}': {SPLIT_FIELD} must be in both or neither")
    if image_dir == mask_dir and not layout.mask_suffix:
        raise DataError(f"images and masks both in '{image_dir}' need a mask_suffix to tell them apart")
    if split_file and SPLIT_FIELD in image_dir:
        raise DataError(f"split_file '{split_file}' and {SPLIT_FIELD} in image_dir are two splits: keep one of them")


def _expand(folder: str) -> str:
    return os.path.expanduser(folder)  # noqa: PTH111 - keeps relative paths as they are written


def _require(root: Path, *folders: Path) -> None:
    missing = [name_below(root, folder) for folder in folders if not folder.is_dir()]
    if missing:
        there = ", ".join(sorted(entry.name for entry in root.iterdir() if entry.is_dir())) or "none"
        raise DataError(
            f"{root} has no folder {' and no folder '.join(missing)} (its folders: {there}): "
            f"name yours with --data.image_dir and --data.mask_dir"
        )
