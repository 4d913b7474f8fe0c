"""The data module of plain images: checked, split, cached, and cropped to patches."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from datamodules.cache.cache import Item
from datamodules.errors import DataError
from datamodules.files import FileDataModule
from datamodules.images.check import ImageFile, check_images, check_shard, find_images
from datamodules.images.packed_images import pack_images
from datamodules.images.patch_cropper import PatchCropper
from datamodules.images.splits import ImageSplits, is_low_res_copy, split_images, split_names
from datamodules.images.summary import split_lines
from datamodules.index.collector import paused_collector
from datamodules.index.folder_scan import name_some, unused_lines
from datamodules.index.pairs import name_below
from datamodules.index.problems import SHARD_ADVICE, report_shard, skipped_lines
from datamodules.index.splits import Split
from datamodules.loading.shard import Shard
from datamodules.loading.shard_window import ShardWindow
from datamodules.samples.images import ensure_sample_images
from datamodules.stage import Stage
from datamodules.storage.file_systems import as_given

if TYPE_CHECKING:
    import albumentations as A


class PatchDataModule(FileDataModule):
    """Patches of the images in a folder, at any depth: random crops for training, center crops otherwise.

    Folders ``train``, ``val`` and ``test`` (also ``valid``, ``val2017``, ``DIV2K_valid_HR``, ``trainA`` beside
    ``testA``, ...) below the root or deeper are the splits. Without one for validation, a fraction of the training
    images is held out by a hash of their names, the same on every machine. Low-resolution copies in a folder
    ``..._LR_...`` beside ``..._HR`` are left out. The images may lie in tar shards; ``train-0000.tar`` beside
    ``val-0000.tar`` are splits as well.

    Args:
        val_share: fraction of the kept images that is held out for validation; ``None`` is the lesson's
            ``min(0.01 / keep_pct, 0.1)``.
        side: images with a longer shorter side are first resized to this many pixels, and cached so, which also
            removes noise and JPEG artifacts. ``"patch"`` is the patch of the stage: a crop then shows as much of an
            image as fits into a square, as fastai's default crop does.
        crops: patches of each training image in one epoch.
        val_size: size that replaces the stage's in validation; ``None`` is the stage's.
        small: whether images smaller than a patch are left out or enlarged.
        **options: of ``FileDataModule``.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(
        self,
        *,
        val_share: float | None = None,
        side: int | Literal["patch"] = 512,
        crops: int = 1,
        val_size: int | None = None,
        small: Literal["skip", "enlarge"] = "skip",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if side != "patch" and side < 1:
            raise ValueError(f"side must be at least 1, or 'patch', not {side}")
        if crops < 1 or (val_size is not None and val_size < 1):
            raise ValueError(f"crops and val_size must be at least 1, not {crops} and {val_size}")
        self._side, self._val_share = side, val_share
        self._crops, self._val_size, self._small = crops, val_size, small
        self._splits: ImageSplits | None = None
        self._rejected: list[str] = []  # lines about images that are left out

    @abstractmethod
    def magnification(self, stage: Stage) -> int:
        """Side of a patch divided by the stage's size.

        Raises:
            DataError: if the stage must define it and does not.
        """

    def sample_root(self) -> Path:
        """Images that ship with scikit-image, written into the cache folder on the first call."""
        return ensure_sample_images(self._cache_folder / "sample_images")

    def accepts(self, image: ImageFile) -> bool:  # noqa: ARG002 - for subclasses
        """Whether an image is used."""
        return True

    def load_splits(self) -> ImageSplits:
        """The checked images by split; checks them on the first call.

        Raises:
            DataError: naming everything that is wrong with them.
        """
        if self._splits is None:
            root = self.data_root()
            with paused_collector():
                paths = self._find_images(root)
                self._digest = self.cache.pin(root, paths)
            sound, self.skipped = check_images(
                root,
                paths,
                results=self._checks,
                state_of=self.cache.pinned,
                on_bad=self._on_bad,
                bits=self.bits,
                workers=self._preparing_workers(),
            )
            bits = self.decide_bits(image.largest for image in sound)
            images = [image.with_bits(bits) for image in sound if self.accepts(image)]
            if number := len(sound) - len(images):
                self._rejected.append(f"  left out, gray: {number}")
            if not images:
                raise DataError(f"all {len(sound)} images in {root} are gray and left out: set --data.gray keep")
            with paused_collector():
                self._splits = split_images(
                    root, images, keep_pct=self._keep_pct, val_share=self._val_share, seed=self._split_seed
                )
        return self._splits

    def describe(self) -> list[str]:
        """Lines with the number of images, their splits and their sizes."""
        lines = split_lines(self.load_splits(), side=self._side, bits=self.bits)
        lines += [*self._rejected, *skipped_lines(self.skipped)]
        if self.stored:
            return lines + self.stored.describe(limit_gb=self.cache.limit_gb, window=self._shard_window)
        root = self.load_splits().root
        return lines + (unused_lines(root, [root]) if self.root is not None else [])

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the images, prints what they are, and fills the cache for ``stages``.

        Raises:
            DataError: naming everything that is wrong with the data.
        """
        splits = self.load_splits().splits
        if not stages:
            return
        print("\n".join(self.describe()))
        paths = {split: [image.path for image in images] for split, images in splits.items()}
        self.check_duplicates(self.load_splits().root, paths)
        needed: dict[int, dict[Path, Item]] = {}  # by size; a file can be in both splits
        for stage in stages:
            for split in ("train", "val"):
                self._large_enough(split, stage, report=True)
                items = {image.path: Item(image.path, image.encoding) for image in splits[split]}
                needed.setdefault(self.side(stage, split), {}).update(items)
        for size, items in sorted(needed.items()):
            self._fill_cache(list(items.values()), size, f"{size} px")

    def prepare_shard(self, stages: Sequence[Stage], shard: Shard) -> None:
        """Checks the images of a shard, and fills the cache with those of them that ``prepare`` would.

        Left out are 16-bit images whose bits are measured over the set. Gray images of other shards are not known
        here, so that some images may be left to ``prepare`` where gray ones are left out.

        Raises:
            DataError: naming the problems of the shard, after the other files were cached.
        """
        root = self.data_root()
        paths = self._find_images(root)
        names = [name_below(root, path) for path in paths]
        splits = split_names(root, names, keep_pct=self._keep_pct, val_share=self._val_share, seed=self._split_seed)
        both: tuple[Split, ...] = ("train", "val")
        sides = {split: {self._crop_side(split, stage) for stage in stages} for split in both}
        part = shard.of(paths)
        print(f"data: {as_given(root)}: shard {shard}, {len(part)} of {len(paths)} images")
        images, problems = check_shard(
            root, part, shard, results=self._checks, bits=self.bits, workers=self._preparing_workers()
        )
        chosen = {
            image.name: image if self.measures_bits else image.with_bits(self.bits)
            for image in images
            if self.accepts(image) and not (self.measures_bits and image.largest is not None)
        }
        for size in sorted(set().union(*sides.values())):
            kept = dict.fromkeys(name for split, own in sides.items() if size in own for name in splits[split])
            items = [Item(chosen[name].path, chosen[name].encoding) for name in kept if name in chosen]
            self._fill_cache(items, size, f"{size} px", parts=shard.count)
        report_shard(root, problems, SHARD_ADVICE, on_bad=self._on_bad)

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's name for fit, validate, test or predict
        """Loads the results of the check."""
        self.load_splits()

    def window(self, stage: Stage) -> ShardWindow | None:
        """The order of the training patches if the images lie in tar shards and ``shard_window`` is set."""
        return self._shard_order((image.path for image in self._large_enough("train", stage)), samples=self._crops)

    @property
    def has_training_images(self) -> bool:
        """Whether there are training images."""
        return bool(self.load_splits().splits["train"])

    def patch(self, stage: Stage, split: Split) -> int:
        """Side of the patches of a split in pixels."""
        val_size = self._val_size if split != "train" else None
        return (val_size or stage.size) * self.magnification(stage)

    def side(self, stage: Stage, split: Split) -> int:
        """Shorter side in pixels to which larger images of a split are resized before they are cropped."""
        return self.patch(stage, split) if self._side == "patch" else self._side

    def cropper(
        self, split: Split, stage: Stage, *, augment: "Sequence[A.BasicTransform]" = (), margin: int = 0
    ) -> PatchCropper:
        """Crops the patches of a split for a stage: random crops of training images, center crops of others.

        Args:
            split: the split of the images.
            stage: defines the size.
            augment: transforms of a patch.
            margin: pixels that are added on every side.

        Raises:
            DataError: if no image of the split is large enough.
        """
        training = split == "train"
        return PatchCropper(
            self._large_enough(split, stage),
            cache=self.cache,
            side=self.side(stage, split),
            patch=self.patch(stage, split),
            crops=self._crops if training else 1,
            random_crop=training,
            augment=augment,
            seed=self.seed,
            margin=margin,
        )

    def _find_images(self, root: Path) -> Sequence[Path]:
        """All images, without those in folders of low-resolution copies."""
        paths = self.stored.images if self.stored else find_images(root)
        parents = {name_below(root, path).rpartition("/")[0] for path in paths}
        folders = {folder for parent in parents for folder in (Path(parent), *Path(parent).parents) if folder.name}
        copies = [folder for folder in folders if is_low_res_copy(folder, folders)]
        if not copies:
            return paths
        kept = [path for path in paths if not any(map(Path(name_below(root, path)).is_relative_to, copies))]
        names = name_some(sorted(folder.as_posix() for folder in copies))
        self._rejected.append(f"  left out, low-resolution copies: {len(paths) - len(kept)} ({names})")
        return kept

    def _large_enough(self, split: Split, stage: Stage, *, report: bool = False) -> Sequence[ImageFile]:
        """The images of a split that a patch can be cropped from.

        Raises:
            DataError: if there are images, but none is large enough.
        """
        images, patch, side = self.load_splits().splits[split], self.patch(stage, split), self._crop_side(split, stage)
        large = [image for image in images if image.shorter(side) >= patch]
        if report and (number := len(images) - len(large)):
            action = "left out" if self._small == "skip" else "enlarged"
            print(f"  stage {stage.name}: {number} of {len(images)} {split} images are below {patch} px: {action}")
        if self._small == "enlarge" or len(large) == len(images):
            return images
        if images and not large:
            raise DataError(
                f"none of the {len(images)} {split} images has the {patch} px that stage '{stage.name}' needs: "
                f"{self._way_out(split)}, or set --data.small enlarge"
            )
        return pack_images(large)

    def _crop_side(self, split: Split, stage: Stage) -> int:
        """``side``, which a patch must fit into.

        Raises:
            DataError: if it does not.
        """
        patch, side = self.patch(stage, split), self.side(stage, split)
        if patch > side:
            raise DataError(
                f"stage '{stage.name}' crops {split} patches of {patch} px, but --data.side resizes the shorter side "
                f"of images to {side} at most: raise --data.side, or {self._way_out(split)}"
            )
        return side

    def _way_out(self, split: Split) -> str:
        return "lower the stage's size" if split == "train" or self._val_size is None else "lower --data.val_size"
