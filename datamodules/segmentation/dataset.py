"""Images and masks as samples: at the stage's size to train and validate, at their own size to be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batches import NativeSegmentBatch
from datamodules.cache.cache import ImageCache
from datamodules.cache.encodings import ClassesKind, CoverageKind, ImageKind
from datamodules.loading.randomness import Key, sample_seed
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.mask_io import read_mask_values

IMAGE = ImageKind()


@dataclass(frozen=True)
class Sample:
    """An image, its mask, and how the mask's file is to be understood."""

    name: str
    image: Path
    mask: Path
    kind: CoverageKind | ClassesKind


class SegmentDataset(Dataset[dict[str, Any]]):
    """Samples at one size: ``image`` (3, S, S) float32 in [0, 1]; ``mask`` (S, S); ``name``, as ``SegmentBatch``.

    Augmentation is a function of (seed, epoch, index): it does not matter which worker is asked, or in which order.

    Args:
        samples: in the order of their index.
        size: side in pixels.
        cache: gives images and masks at that side.
        augment: changes image and mask together; ``None`` leaves them as they are.
        seed: of the augmentation.
    """

    def __init__(
        self, samples: Sequence[Sample], *, size: int, cache: ImageCache, augment: Augment | None, seed: int
    ) -> None:
        self._samples, self._size, self._cache = samples, size, cache
        self._augment, self._seed = augment, seed

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one sample of one epoch.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        sample = self._samples[key.index]
        image = self._cache.get(sample.image, self._size, IMAGE)
        mask = self._cache.get(sample.mask, self._size, sample.kind)
        if self._augment is not None:
            image, mask = self._augment(image, mask, seed=sample_seed(self._seed, key.epoch, key.index))
        coverage = isinstance(sample.kind, CoverageKind)
        target = _share(torch.from_numpy(mask)) if coverage else torch.from_numpy(mask).long()
        return {"image": image_tensor(image), "mask": target, "name": sample.name}


class NativeSegmentDataset(Dataset[dict[str, Any]]):
    """Samples to be judged: ``image`` at the network's size, ``mask`` (H, W) uint8 at the image's own size.

    Args:
        samples: in the order of their index.
        size: side of the images in pixels.
        cache: gives images at that side.
    """

    def __init__(self, samples: Sequence[Sample], *, size: int, cache: ImageCache) -> None:
        self._samples, self._size, self._cache = samples, size, cache

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one sample; the epoch makes no difference.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        sample = self._samples[key.index]
        image = self._cache.get(sample.image, self._size, IMAGE)
        values = read_mask_values(sample.mask, orientation=sample.kind.orientation)
        mask = torch.from_numpy(sample.kind.values.apply(values, sample.mask))
        return {"image": image_tensor(image), "mask": mask, "name": sample.name}


def collate_native(samples: Sequence[dict[str, Any]]) -> NativeSegmentBatch:
    """Stacks the images and lists the masks, which differ in size."""
    return {
        "image": torch.stack([sample["image"] for sample in samples]),
        "mask": [sample["mask"] for sample in samples],
        "name": [sample["name"] for sample in samples],
    }


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Turns ``(H, W, 3)`` uint8 into ``(3, H, W)`` float32 in [0, 1]."""
    return _share(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))


def _share(values: Tensor) -> Tensor:
    return values.float().div_(255)
