"""Base class of the segmentation data modules: check, split, cache, and datasets of every stage."""

from abc import abstractmethod
from collections.abc import Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from datamodules.files import FileDataModule
from datamodules.index.collector import paused_collector
from datamodules.index.folder_scan import scan_once
from datamodules.index.pairs import Pair
from datamodules.index.problems import SHARD_ADVICE, report_shard, skipped_lines
from datamodules.index.splits import Split
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.loading.shard import Shard
from datamodules.loading.shard_window import ShardWindow
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.channel_statistics import load_statistics, statistics_text
from datamodules.segmentation.check import pair_files
from datamodules.segmentation.check_once import check_once, require_images
from datamodules.segmentation.crop import checked_crops
from datamodules.segmentation.dataset import collate_native
from datamodules.segmentation.device_augment import TURN, augment_batch
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.packed_samples import pack_pairs, pack_samples
from datamodules.segmentation.samples import cache_items, make_samples
from datamodules.segmentation.shard import check_shard, shard_items
from datamodules.segmentation.split import split_pairs
from datamodules.segmentation.stage_sets import StageSets
from datamodules.segmentation.summary import DatasetIndex, SegmentData, class_weights, crop_notes, summary_lines
from datamodules.segmentation.transforms import TransformSpec
from datamodules.stage import Stage
from datamodules.storage.file_systems import as_given


class SegmentDataModule(FileDataModule):
    """Images with masks: checked once, split by whole groups, cached and resized to the stage's square.

    A subclass finds images and masks (``find_pairs``); this class does the rest. With one class, masks are foreground
    coverage; with several, class numbers. Ignored pixels are 255 in both.

    Args:
        class_list: the classes.
        val_share: fraction of the groups that is held out for validation, rounded down, at least one, if the data has
            no split of its own.
        folds: number of parts that the groups are divided into for cross-validation; 0 divides by ``val_share``.
        fold: the part that is validated on, from 1; all others are trained on.
        rotate: maximum angle of the augmentation's rotation, in degrees to either side.
        flip: whether the augmentation mirrors half of the images.
        light: maximum relative change of brightness and contrast by the augmentation.
        transforms: transforms of albumentations that follow rotation, flip and light, in this order, by name and with
            arguments: ``[{GaussNoise: {p: 0.3}}, VerticalFlip]``. The names are listed in
            ``datamodules/segmentation/transforms.py``.
        only_transforms: whether ``transforms`` replace rotation, flip and light.
        device_augment: whether rotation, flip and light are computed for whole batches on the network's device, in
            place of the loader processes: for a GPU that waits for a few cores. Not with ``transforms``, stages with
            ``crop``, and images with 16 bits.
        random_scale: smallest and largest scale at which stages with ``crop`` crop; other stages ignore it.
        crops: crops of each training image in one epoch of a stage with ``crop``.
        layout: channels of the images, which are then read with up to 16 bits; ``None`` for RGB images with 8.
        **options: of ``FileDataModule``.
    """

    def __init__(
        self,
        *,
        class_list: ClassList,
        val_share: float = 0.2,
        folds: int = 0,
        fold: int = 1,
        rotate: float = 4.0,
        flip: bool = True,
        light: float = 0.05,
        transforms: Sequence[TransformSpec] = (),
        only_transforms: bool = False,
        device_augment: bool = False,
        random_scale: tuple[float, float] = (1.0, 1.0),
        crops: int = 1,
        layout: BandLayout | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if layout is not None and self._given_bits != FULL_BITS:
            raise ValueError("bits is for RGB images: other channels are normalized by their own mean and spread")
        if folds < 0 or folds == 1 or not 1 <= fold <= max(1, folds):
            raise ValueError(f"folds must be 0 or at least 2, and fold from 1 to folds, not {folds} and {fold}")
        self.class_list, self._val_share, self.layout = class_list, val_share, layout
        self._folds, self._fold = folds, fold
        if only_transforms:
            rotate, flip, light = 0.0, False, 0.0
        scale, crops = checked_crops(random_scale, crops)
        self._sets = StageSets(
            cache=self.cache,
            seed=self.seed,
            class_list=class_list,
            channels=None if layout is None else layout.channels,
            augment=Augment(rotate=rotate, flip=flip, light=light, coverage=class_list.one_class, extra=transforms),
            device_augment=device_augment,
            random_scale=scale,
            crops=crops,
        )
        self._ready: SegmentData | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the class numbers; a single name is foreground against everything else."""
        return self.class_list.names

    @abstractmethod
    def find_pairs(self, root: Path) -> DatasetIndex:
        """Lists images and masks by their names, without opening a file.

        Raises:
            DataError: if a folder is missing.
        """

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning passes fit, validate, test or predict
        """Finds the data and reads the result of its check."""
        self._load()

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Tries the augmentation, checks the data, prints a summary, and fills the cache for ``stages``.

        Raises:
            DataError: names all problems of the data.
        """
        self.planned = stages
        for stage in stages:
            self._sets.augment_of(stage)
        ready = self._load()
        notes = crop_notes(ready.samples["train"], stages)
        print("\n".join([*summary_lines(ready, self.class_list), *notes, *skipped_lines(self.skipped)]))
        splits = {split: [sample.image for sample in samples] for split, samples in ready.samples.items()}
        self.check_duplicates(ready.root, splits)
        for size, whole in _sizes(stages):
            self._fill_cache(cache_items(ready.samples, whole=whole), size, _shape(size, whole=whole))
        if (measured := self.channel_statistics()) is not None:
            print("  channels, mean (standard deviation): " + statistics_text(*measured))

    def prepare_shard(self, stages: Sequence[Stage], shard: Shard) -> None:
        """Checks the images and masks of a shard, and fills the cache with those of them that ``prepare`` would.

        Raises:
            DataError: names the problems of the shard, after the other files were cached.
        """
        for stage in stages:
            self._sets.augment_of(stage)
        root, index = self._find()
        require_images(root, index)
        kept = {pair.name for pairs in self._split(root, index, ()).values() for pair in pairs}
        pairs = shard.of(index.pairs)
        print(f"data: {as_given(root)}: shard {shard}, {len(pairs)} of {len(index.pairs)} images with masks")
        check = check_shard(
            root,
            pairs,
            self.class_list,
            shard,
            layout=self.layout,
            bits=self.bits,
            results=self._checks,
            workers=self._preparing_workers(),
        )
        usable = [(pair, result) for pair, result in check.usable if pair.name in kept]
        bits = None if self.measures_bits else self.bits
        for size, whole in _sizes(stages):
            items = shard_items(usable, self.class_list, layout=self.layout, bits=bits, whole=whole)
            self._fill_cache(items, size, _shape(size, whole=whole), parts=shard.count)
        report_shard(root, [*index.problems, *check.problems], SHARD_ADVICE, on_bad=self._on_bad)

    def channel_statistics(self) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of each channel of the training images; ``None`` for RGB images with 8 bits.

        They are measured at the smallest size of the planned stages, once: later runs read the result.
        """
        if self.layout is None or not self.planned:
            return None
        samples, first = self._load().samples["train"], min(self.planned, key=lambda stage: stage.size)
        return load_statistics(
            samples,
            layout=self.layout,
            cache=self.cache,
            size=first.size,
            whole=first.crop is not None,
            results=self._checks,
        )

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """See ``StageSets.train``.

        Raises:
            DataError: if the augmentation does not fit the stage.
        """
        return self._sets.train(self._load().samples, stage)

    def window(self, stage: Stage) -> ShardWindow | None:
        """The order of the training samples if the images lie in tar shards and ``shard_window`` is set."""
        images = (sample.image for sample in self._load().samples["train"])
        return self._shard_order(images, samples=1 if stage.crop is None else self._sets.crops)

    @property
    def has_training_images(self) -> bool:
        """Whether there are training images."""
        return bool(self._load().samples["train"])

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """See ``StageSets.val``."""
        return self._sets.val(self._load().samples, stage)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """See ``StageSets.test``."""
        return self._sets.test(self._load().samples, stage)

    def eval_batch_size(self, world: int) -> int:
        """Whole images, which differ in size, are loaded one by one."""
        return super().eval_batch_size(world) if self.stage.crop is None else 1

    def check_stages(self, stages: Sequence[Stage]) -> None:
        """See ``StageSets.check``.

        Raises:
            DataError: naming the stage.
        """
        self._sets.check(stages)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:  # noqa: ARG002 - Lightning's hook
        """Augments a training batch on the device that it was moved to, if the loaders did not."""
        return augment_batch(batch, coverage=self.class_list.one_class) if TURN in batch else batch

    @property
    def class_weights(self) -> list[float]:
        """Weight of each class by median frequency over the training masks (Eigen and Fergus 2015)."""
        return class_weights(self._load(), classes=len(self.class_names))

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Stacks the images and lists the masks."""
        return dict(collate_native(samples))

    def group_of(self, name: str) -> str:
        """The group of an image, such as its car."""
        return self._load().index.groups[name]

    @property
    def augmentation(self) -> str:
        """The transforms of the training images."""
        return str(self._sets.augment)

    def _load(self) -> SegmentData:
        if self._ready is None:
            with paused_collector():
                root, index = self._find()
                files = [path for pair in index.pairs for path in pair_files(self.layout, pair)]
                self._digest = self.cache.pin(root, files)
            check, seconds = check_once(
                root,
                index,
                self.class_list,
                files=files,
                state_of=self.cache.pinned,
                layout=self.layout,
                bits=self.bits,
                on_bad=self._on_bad,
                results=self._checks,
                workers=self._preparing_workers(),
            )
            self.skipped = [*(str(problem) for problem in index.problems), *check.bad.values()]
            bits = self.decide_bits(check.largest.values())
            with paused_collector():
                parts = self._split(root, index, check.bad)
                one_class = self.class_list.one_class
                samples = make_samples(parts, check, one_class=one_class, layout=self.layout, bits=bits)
                packed = {split: pack_samples(some) for split, some in samples.items()}
                index = replace(index, pairs=pack_pairs(index.pairs))
            self._ready = SegmentData(root=root, index=index, check=check, seconds=seconds, samples=packed, bits=bits)
        return self._ready

    def _find(self) -> tuple[Path, DatasetIndex]:
        root = self.data_root()
        with scan_once():
            return root, self.find_pairs(root)

    def _split(self, root: Path, index: DatasetIndex, bad: Container[str]) -> dict[Split, list[Pair]]:
        return split_pairs(
            root,
            index,
            bad,
            folds=self._folds,
            fold=self._fold,
            val_share=self._val_share,
            seed=self._split_seed,
            keep_pct=self._keep_pct,
        )


def _sizes(stages: Sequence[Stage]) -> list[tuple[int, bool]]:
    """The sizes of the stages, and whether images keep their proportions, sorted."""
    return sorted({(stage.size, stage.crop is not None) for stage in stages})


def _shape(size: int, *, whole: bool) -> str:
    """The size of copies, for reports."""
    return f"{size} px" if whole else f"{size} x {size} px"
