"""Datasets of images and masks: squares or crops for training, squares or whole images for validation and test."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from datamodules.batches import NativeSegmentBatch
from datamodules.cache.cache import ImageCache
from datamodules.io.tensors import compact_tensor, image_tensor
from datamodules.loading.sampler import Key, sample_seed
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.crop import RandomCrop
from datamodules.segmentation.device_augment import delayed_sample
from datamodules.segmentation.mask_encodings import mask_target
from datamodules.segmentation.samples import Sample


class SegmentDataset(Dataset[dict[str, Any]]):
    """Samples at one size: ``image`` (C, S, S) float32 in [0, 1]; ``mask`` (S, S); ``name``. See ``SegmentBatch``.

    Augmentation is a function of (seed, epoch, index), independent of worker and order.

    Args:
        samples: in the order of their index.
        size: side in pixels.
        cache: returns images and masks at that side.
        augment: transforms image and mask together; ``None`` for none.
        seed: seed of the augmentation.
        delayed: whether samples are bytes that ``augment_batch`` augments, see ``delayed_sample``.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        size: int,
        cache: ImageCache,
        augment: Augment | None,
        seed: int,
        delayed: bool = False,
    ) -> None:
        self._samples, self._size, self._cache = samples, size, cache
        self._augment, self._seed, self._delayed = augment, seed, delayed

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
        image = sample.pixels(self._cache, self._size, whole=False)
        mask = self._cache.get(sample.mask, self._size, sample.encoding)
        seed = sample_seed(self._seed, key.epoch, key.index)
        if self._augment is not None and self._delayed:
            return delayed_sample(image, mask, self._augment.draws(seed), name=sample.name)
        if self._augment is not None:
            image, mask = self._augment(image, mask, seed=seed)
        return {
            "image": image_tensor(image),
            "mask": mask_target(mask, coverage=sample.coverage),
            "name": sample.name,
        }


class CropDataset(Dataset[dict[str, Any]]):
    """Random crops of the training images; otherwise as ``SegmentDataset``.

    Args:
        samples: in the order of their index; each gives ``crops`` consecutive crops.
        size: largest length of the shorter side of the images that are cropped, in pixels.
        crop: crops image and mask.
        crops: crops of each image in one epoch.
        cache: returns images and masks at ``size``.
        augment: transforms a crop; ``None`` for none.
        seed: seed of the crops and the augmentation.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        size: int,
        crop: RandomCrop,
        crops: int,
        cache: ImageCache,
        augment: Augment | None,
        seed: int,
    ) -> None:
        self._samples, self._size, self._cache = samples, size, cache
        self._crop, self._crops = crop, crops
        self._augment, self._seed = augment, seed

    def __len__(self) -> int:
        return len(self._samples) * self._crops

    def name(self, key: Key) -> str:
        """Name of the image that is cropped, for messages."""
        return self._samples[key.index // self._crops].name

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one crop of one epoch.

        Raises:
            DataError: if a file was removed or damaged since it was checked.
        """
        sample = self._samples[key.index // self._crops]
        seed = sample_seed(self._seed, key.epoch, key.index)
        image = sample.pixels(self._cache, self._size, whole=True)
        mask = self._cache.get(sample.mask, self._size, sample.whole_mask)
        if sample.coverage and mask.ndim == 2:
            mask = np.dstack([mask, np.zeros_like(mask)])  # pixels beyond the border will be ignored
        image, mask = self._crop(image, mask, seed=seed)
        if self._augment is not None:
            image, mask = self._augment(image, mask, seed=seed)
        return {
            "image": image_tensor(image),
            "mask": mask_target(mask, coverage=sample.coverage),
            "name": sample.name,
        }


class WholeDataset(Dataset[dict[str, Any]]):
    """Whole validation images with their proportions kept: ``image`` (C, h, w), ``mask`` (h, w), ``name``.

    RGB images are uint8, since they may be large, other images float32 in [0, 1]; the mask is as in ``SegmentBatch``.

    Args:
        samples: in the order of their index.
        size: largest length of the shorter side in pixels.
        cache: returns images and masks at that size.
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
        mask = self._cache.get(sample.mask, self._size, sample.whole_mask)
        return {
            "image": compact_tensor(sample.pixels(self._cache, self._size, whole=True)),
            "mask": mask_target(mask, coverage=sample.coverage),
            "name": sample.name,
        }


class NativeSegmentDataset(Dataset[dict[str, Any]]):
    """Test samples: ``image`` at the network's size, ``mask`` (H, W) uint8 at the image's own size.

    Args:
        samples: in the order of their index.
        size: side of the images in pixels, float32; or the largest length of their shorter side, uint8.
        whole: whether images keep their proportions.
        cache: returns images at that size.
    """

    def __init__(self, samples: Sequence[Sample], *, size: int, whole: bool = False, cache: ImageCache) -> None:
        self._samples, self._size, self._whole, self._cache = samples, size, whole, cache

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
        pixels = sample.pixels(self._cache, self._size, whole=self._whole)
        image = compact_tensor(pixels) if self._whole else image_tensor(pixels)
        mask = torch.from_numpy(sample.encoding.class_numbers(sample.mask))
        return {"image": image, "mask": mask, "name": sample.name}


def collate_native(samples: Sequence[dict[str, Any]]) -> NativeSegmentBatch:
    """Stacks the images and lists the masks, which differ in size."""
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "mask": [sample["mask"] for sample in samples],
        "name": [sample["name"] for sample in samples],
    }
