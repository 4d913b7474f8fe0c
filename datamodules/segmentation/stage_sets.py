"""The datasets of a stage: how samples are cropped, resized and augmented for training, validation and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import Dataset

from datamodules.cache.cache import ImageCache
from datamodules.errors import DataError
from datamodules.index.splits import Split
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.crop import RandomCrop, check_scale
from datamodules.segmentation.dataset import CropDataset, NativeSegmentDataset, SegmentDataset, WholeDataset
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.samples import Sample
from datamodules.stage import Stage

Samples = Mapping[Split, Sequence[Sample]]


@dataclass
class StageSets:
    """Makes the datasets of a stage from the samples of all splits.

    Args:
        cache: returns images and masks at the size of a stage.
        seed: seed of crops and augmentation.
        class_list: the classes.
        channels: channels of images with 16 bits; ``None`` for RGB images with 8.
        augment: transforms training images in stages that augment.
        device_augment: whether training samples are bytes that ``augment_batch`` augments.
        random_scale: smallest and largest scale of crops.
        crops: crops of each training image in one epoch of a stage that crops.

    Raises:
        ValueError: if augmentation on the device is combined with what it cannot do.
    """

    cache: ImageCache
    seed: int
    class_list: ClassList
    channels: int | None
    augment: Augment
    device_augment: bool
    random_scale: tuple[float, float]
    crops: int
    _tried: set[int] = field(default_factory=set)  # sizes at which the transforms were tried

    def __post_init__(self) -> None:
        if self.device_augment and (self.augment.has_extra or self.channels is not None):
            raise ValueError(
                "device_augment is for rotation, flip and light of RGB images: leave it out, or transforms"
            )

    def check(self, stages: Sequence[Stage]) -> None:
        """Refuses a random scale that no stage uses, and crops whose augmentation is left to the device.

        Raises:
            DataError: naming the stage.
        """
        check_scale(self.random_scale, stages)
        if self.device_augment and (crops := [stage.name for stage in stages if stage.crop is not None]):
            raise DataError(f"stage '{crops[0]}': crop is not possible with --data.device_augment true; leave one out")

    def augment_of(self, stage: Stage) -> Augment | None:
        """The augmentation of a stage, tried once at its size.

        Raises:
            DataError: if it does not fit the stage.
        """
        if not stage.augment:
            return None
        if stage.train_size not in self._tried:
            self.augment.check(size=stage.train_size, classes=len(self.class_list.names), channels=self.channels)
            self._tried.add(stage.train_size)
        return self.augment

    def train(self, samples: Samples, stage: Stage) -> Dataset[dict[str, Any]]:
        """The training images or crops of them, augmented if ``stage.augment``.

        Raises:
            DataError: if the augmentation does not fit the stage.
        """
        augment = self.augment_of(stage)
        if stage.crop is None:
            return self._squares(samples["train"], stage, augment)
        scale = self.random_scale if stage.augment else (1.0, 1.0)
        return CropDataset(
            samples["train"],
            size=stage.size,
            crop=RandomCrop(stage.crop, scale=scale, coverage=self.class_list.one_class),
            crops=self.crops,
            cache=self.cache,
            augment=augment,
            seed=self.seed,
        )

    def val(self, samples: Samples, stage: Stage) -> Dataset[dict[str, Any]]:
        """The validation images, not augmented; whole and with their proportions kept in a stage with ``crop``."""
        if stage.crop is not None:
            return WholeDataset(samples["val"], size=stage.size, cache=self.cache)
        return self._squares(samples["val"], stage, None)

    def test(self, samples: Samples, stage: Stage) -> Dataset[dict[str, Any]]:
        """The test images (without a test split, the validation images), with masks at full size."""
        return NativeSegmentDataset(samples["test"], size=stage.size, whole=stage.crop is not None, cache=self.cache)

    def _squares(self, samples: Sequence[Sample], stage: Stage, augment: Augment | None) -> SegmentDataset:
        return SegmentDataset(
            samples,
            size=stage.size,
            cache=self.cache,
            augment=augment,
            seed=self.seed,
            delayed=self.device_augment,
        )
