"""What the segmentation data modules share: check, split, caches, and samples of every stage."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from datamodules.cache.cache import Item
from datamodules.cache.check_results import read_stamp, stamp_path, write_stamp
from datamodules.cache.encodings import ClassesKind, CoverageKind
from datamodules.errors import DataError
from datamodules.files import FileDataModule
from datamodules.index.pairs import Pair
from datamodules.index.problems import skipped_lines
from datamodules.index.splits import Split, held_out, keep
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.check import Facts, check_pairs
from datamodules.segmentation.dataset import IMAGE, NativeSegmentDataset, Sample, SegmentDataset, collate_native
from datamodules.segmentation.label_map import MaskValues
from datamodules.segmentation.labels import Labels
from datamodules.segmentation.summary import Found, SegmentData, describe
from datamodules.stage import Stage


class SegmentDataModule(FileDataModule):
    """Images with masks: checked once, split by whole groups, copied small, squashed to the stage's square.

    A subclass says where images and masks lie (``find``); everything else happens here. With one class, masks are
    shares of area; with several, class numbers with 255 where nothing counts.

    Args:
        labels: the class list.
        val_share: fraction of the groups that is held out for validation, rounded down, at least one, if the data has
            no split of its own.
        rotate: maximum angle of the augmentation's rotation, in degrees to either side.
        flip: whether the augmentation mirrors half of the images.
        light: maximum relative change of brightness and contrast by the augmentation.
        **options: of ``FileDataModule``.
    """

    def __init__(
        self,
        *,
        labels: Labels,
        val_share: float = 0.2,
        rotate: float = 4.0,
        flip: bool = True,
        light: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.labels, self._val_share = labels, val_share
        self._augment = Augment(rotate=rotate, flip=flip, light=light, coverage=labels.one_class)
        self._ready: SegmentData | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the class numbers; one name is foreground against everything else."""
        return self.labels.names

    @abstractmethod
    def find(self, root: Path) -> Found:
        """Lists images and masks by their names alone.

        Raises:
            DataError: if a folder is missing.
        """

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's name for fit, validate, test, predict
        """Reads what the check found."""
        self._load()

    def prepare(self, stages: Sequence[Stage]) -> None:
        """Checks the data, tells what is in it, and makes the small copies that ``stages`` read.

        Raises:
            DataError: naming everything that is wrong with the data.
        """
        ready = self._load()
        print("\n".join([*describe(ready, self.labels), *skipped_lines(self.skipped)]))
        splits = {split: [sample.image for sample in samples] for split, samples in ready.samples.items()}
        self.check_duplicates(ready.root, splits)
        for size in sorted({stage.size for stage in stages}):
            start = time.monotonic()
            self.cache.fill(_items(ready), size, workers=self._preparing_workers())
            print(f"  copies {size} x {size}: ready after {time.monotonic() - start:.1f} s in {self.cache.folder}")

    def train_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The training images, augmented if the stage says so."""
        return self._set("train", stage, self._augment if stage.augment else None)

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The validation images as they are."""
        return self._set("val", stage, None)

    def test_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        """The test images, or those of the validation where there are none, with masks at their own size."""
        return NativeSegmentDataset(self._load().samples["test"], size=stage.size, cache=self.cache)

    def collate_test(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """Stacks images and lists masks."""
        return dict(collate_native(samples))

    def _set(self, split: Split, stage: Stage, augment: Augment | None) -> SegmentDataset:
        samples = self._load().samples[split]
        return SegmentDataset(samples, size=stage.size, cache=self.cache, augment=augment, seed=self.seed)

    def _load(self) -> SegmentData:
        if self._ready is None:
            root = self.data_root()
            found = self.find(root)
            files = (path for pair in found.pairs for path in (pair.image, pair.mask))
            self._digest = self.cache.pin(root, files)
            facts, seconds = self._facts(root, found)
            self.skipped = [*(str(problem) for problem in found.problems), *facts.bad.values()]
            samples = self._samples(self._split(found, facts), facts)
            self._ready = SegmentData(root=root, found=found, facts=facts, seconds=seconds, samples=samples)
        return self._ready

    def _facts(self, root: Path, found: Found) -> tuple[Facts, float | None]:
        if not found.pairs and not found.problems:
            raise DataError(f"the data root {root} holds no images: put images and masks in it, or name another folder")
        stamp = stamp_path(self._checks, found.pairs, self.labels)
        facts = read_stamp(stamp)
        # What stops the run, or may be too much to be left out, is looked at again and told with everything else.
        if facts is not None and not found.problems and (self._on_bad == "skip" or not facts.bad):
            return facts, None
        start = time.monotonic()
        facts = check_pairs(
            root,
            found.pairs,
            self.labels,
            found=found.problems,
            on_bad=self._on_bad,
            workers=self._preparing_workers(),
        )
        write_stamp(stamp, facts)
        return facts, time.monotonic() - start

    def _split(self, found: Found, facts: Facts) -> dict[Split, list[Pair]]:
        splits = found.splits
        if not splits:
            val = held_out(found.groups.values(), share=self._val_share, seed=self._split_seed)
            splits = {name: "val" if group in val else "train" for name, group in found.groups.items()}
        parts: dict[Split, list[Pair]] = {"train": [], "val": [], "test": []}
        for pair in found.pairs:
            if pair.name not in facts.bad:
                parts[splits[pair.name]].append(pair)
        parts["test"] = parts["test"] or parts["val"]
        for name, pairs in parts.items():
            if not pairs:
                raise DataError(f"no image is in the split '{name}' of {self.root}: give it at least one")
            parts[name] = keep(pairs, share=self._keep_pct, name=lambda pair: pair.name)
        return parts

    def _samples(self, parts: Mapping[Split, Sequence[Pair]], facts: Facts) -> dict[Split, list[Sample]]:
        values = MaskValues(facts.mapping)
        kind = CoverageKind if self.labels.one_class else ClassesKind
        kinds = {orientation: kind(values, orientation) for orientation in range(1, 9)}
        return {
            split: [Sample(p.name, p.image, p.mask, kinds[facts.turned.get(p.name, 1)]) for p in pairs]
            for split, pairs in parts.items()
        }


def _items(ready: SegmentData) -> list[Item]:
    """Every image and mask once, as they are copied."""
    samples = {sample.name: sample for split in ready.samples.values() for sample in split}
    return [Item(path, kind) for s in samples.values() for path, kind in ((s.image, IMAGE), (s.mask, s.kind))]
