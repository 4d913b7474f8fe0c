"""Datasets of images and masks: at the stage's size for training and validation, at full size for test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from datamodules.batches import NativeSegmentBatch
from datamodules.cache.cache import ImageCache
from datamodules.cache.encodings import IMAGE
from datamodules.io.tensors import image_tensor
from datamodules.loading.sampler import Key, sample_seed
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding, mask_target


@dataclass(frozen=True)
class Sample:
    """An image, its mask, and how the mask's file is decoded."""

    name: str
    image: Path
    mask: Path
    encoding: CoverageEncoding | ClassesEncoding


class SegmentDataset(Dataset[dict[str, Any]]):
    """Samples at one size: ``image`` (3, S, S) float32 in [0, 1]; ``mask`` (S, S); ``name``. See ``SegmentBatch``.

    Augmentation is a function of (seed, epoch, index), independent of worker and order.

    Args:
        samples: in the order of their index.
        size: side in pixels.
        cache: returns images and masks at that side.
        augment: transforms image and mask together; ``None`` for none.
        seed: seed of the augmentation.
    """

    def __init__(
        self, samples: Sequence[Sample], *, size: int, cache: ImageCache, augment: Augment | None, seed: int
    ) -> None:
        self._samples, self._size, self._cache = samples, size, cache
        self._augment, self._seed = augment, seed

    def __len__(self) -> int:
        return len(self._samples)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._samples[key.index].name

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one sample of one epoch.

        Raises:
            DataError: if a file was removed or damaged since it was checked.
        """
        sample = self._samples[key.index]
        image = self._cache.get(sample.image, self._size, IMAGE)
        mask = self._cache.get(sample.mask, self._size, sample.encoding)
        if self._augment is not None:
            image, mask = self._augment(image, mask, seed=sample_seed(self._seed, key.epoch, key.index))
        target = mask_target(mask, coverage=isinstance(sample.encoding, CoverageEncoding))
        return {"image": image_tensor(image), "mask": target, "name": sample.name}


class NativeSegmentDataset(Dataset[dict[str, Any]]):
    """Test samples: ``image`` at the network's size, ``mask`` (H, W) uint8 at the image's own size.

    Args:
        samples: in the order of their index.
        size: side of the images in pixels.
        cache: returns images at that side.
    """

    def __init__(self, samples: Sequence[Sample], *, size: int, cache: ImageCache) -> None:
        self._samples, self._size, self._cache = samples, size, cache

    def __len__(self) -> int:
        return len(self._samples)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._samples[key.index].name

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one sample; the epoch has no effect.

        Raises:
            DataError: if a file was removed or damaged since it was checked.
        """
        sample = self._samples[key.index]
        image = self._cache.get(sample.image, self._size, IMAGE)
        mask = torch.from_numpy(sample.encoding.class_numbers(sample.mask))
        return {"image": image_tensor(image), "mask": mask, "name": sample.name}


def collate_native(samples: Sequence[dict[str, Any]]) -> NativeSegmentBatch:
    """Stacks the images and lists the masks, which differ in size."""
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "mask": [sample["mask"] for sample in samples],
        "name": [sample["name"] for sample in samples],
    }
