"""Pairs of a target and its degraded copy, for super-resolution and restoration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datamodules.batches import NativePairBatch
from datamodules.cache.cache import ImageCache
from datamodules.images.check import ImageFile
from datamodules.images.degradation import Degradation
from datamodules.images.patch_cropper import PatchCropper
from datamodules.io.resize import center_crop, crop_to_multiple
from datamodules.io.tensors import image_tensor
from datamodules.loading.sampler import Key, sample_seed


class PatchDataset(Dataset[dict[str, Any]]):
    """Pairs of patches: ``low`` (3, S, S) and ``high`` (3, scale * S, scale * S), float32 in [0, 1], and ``name``.

    ``low`` is made from the augmented ``high``, so the scale is exact and both have the same augmentation. A sample is
    a function of (seed, epoch, index).

    Args:
        cropper: crops the high-resolution patches.
        scale: ``high`` is this many times larger than ``low``.
        degrade: makes ``low``.
        margin: pixels that are cropped on each side of ``low``, and ``scale`` times as many of ``high``.
    """

    def __init__(self, cropper: PatchCropper, *, scale: int, degrade: Degradation, margin: int) -> None:
        self._cropper, self._scale, self._degrade, self._margin = cropper, scale, degrade, margin

    def __len__(self) -> int:
        return len(self._cropper)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._cropper.name(key)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one pair of one epoch.

        Raises:
            DataError: if the file was removed, changed or damaged since it was checked.
        """
        high = self._cropper.crop(key)
        # Independent of the crop's random numbers: else the strength of noise would depend on the position.
        low = self._degrade(high, scale=self._scale, seed=sample_seed(self._cropper.seed(key), 0, 1))
        low, high = _inner(low, self._margin), _inner(high, self._margin * self._scale)
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": self._cropper.name(key)}


class NativePairDataset(Dataset[dict[str, Any]]):
    """Whole images for evaluation: ``low`` (3, H, W), ``high`` (3, scale * H, scale * W), and ``name``.

    Up to ``scale - 1`` rows and columns are cropped at the bottom and the right, as is usual in the field.

    Args:
        images: in the order of their index.
        cache: the images with a shorter side of at most ``side``.
        side: size at which the cache was filled.
        scale: ``high`` is this many times larger than ``low``.
        degrade: makes ``low``, in the same way every time.
        seed: of the degradation.
    """

    def __init__(
        self,
        images: Sequence[ImageFile],
        *,
        cache: ImageCache,
        side: int,
        scale: int,
        degrade: Degradation,
        seed: int,
    ) -> None:
        self._images, self._cache, self._side = images, cache, side
        self._scale, self._degrade, self._seed = scale, degrade, seed

    def __len__(self) -> int:
        return len(self._images)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._images[key.index].name

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one pair; the epoch has no effect.

        Raises:
            DataError: if the file was removed, changed or damaged since it was checked.
        """
        image = self._images[key.index]
        high = crop_to_multiple(self._cache.get(image.path, self._side, image.encoding), self._scale)
        low = self._degrade(high, scale=self._scale, seed=sample_seed(self._seed, 0, key.index))
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": image.name}


def collate_pairs(samples: Sequence[dict[str, Any]]) -> NativePairBatch:
    """Lists of images, which differ in size."""
    low: list[torch.Tensor] = [sample["low_res"] for sample in samples]
    return {
        "low_res": low,
        "high_res": [sample["high_res"] for sample in samples],
        "name": [sample["name"] for sample in samples],
    }


def _inner(image: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    return center_crop(image, image.shape[0] - 2 * margin, image.shape[1] - 2 * margin)
