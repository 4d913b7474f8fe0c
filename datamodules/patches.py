"""Pairs to train super-resolution and repairs: a patch cut from a photograph, and what was made of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datamodules.batches import NativePairBatch
from datamodules.cache import PictureCache
from datamodules.compat import A, reseed, strict_compose
from datamodules.degrade import Degradation
from datamodules.photo_check import Photo
from datamodules.randomness import Key, sample_seed
from datamodules.resize import resize_to
from datamodules.segment_dataset import IMAGE, image_tensor


class PatchDataset(Dataset[dict[str, Any]]):
    """Pairs of patches: ``low`` (3, S, S) and ``high`` (3, scale * S, scale * S), float32 in [0, 1], and ``name``.

    The low one is made from the high one after everything else was done to it, so the scale is exact and both are
    turned and mirrored alike. What is drawn is a function of (seed, epoch, index).

    Args:
        photos: in the order of their index; a picture gives ``crops`` neighbouring samples.
        cache: gives pictures with the shorter side ``side``.
        side: as the cache was filled with.
        size: side of the low patches.
        scale: how many times larger the high ones are.
        degrade: makes the low ones.
        crops: patches of each picture in one epoch.
        random_crop: cut anywhere, or in the middle.
        symmetries: whether one of the 8 symmetries of the square is drawn.
        squash: squash the whole picture to the patch (the lesson's way) instead of cutting.
        seed: of everything that is drawn.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        *,
        cache: PictureCache,
        side: int,
        size: int,
        scale: int,
        degrade: Degradation,
        crops: int,
        random_crop: bool,
        symmetries: bool,
        squash: bool,
        seed: int,
    ) -> None:
        self._photos, self._cache, self._side = photos, cache, side
        self._patch, self._scale, self._degrade = size * scale, scale, degrade
        self._crops, self._squash, self._seed = crops, squash, seed
        cut = A.RandomCrop if random_crop else A.CenterCrop
        cutting = [] if squash else [cut(height=self._patch, width=self._patch, p=1.0)]
        self._compose = strict_compose([*cutting, *([A.D4(p=1.0)] if symmetries else [])])

    def __len__(self) -> int:
        return len(self._photos) * self._crops

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one pair of one epoch.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        photo = self._photos[key.index // self._crops]
        seed = sample_seed(self._seed, key.epoch, key.index)
        if self._squash:
            pixels = self._cache.get(photo.path, self._patch, IMAGE)
        else:
            pixels = _at_least(self._cache.get(photo.path, self._side, photo.kind), self._patch)
        reseed(self._compose, seed)
        high = np.ascontiguousarray(self._compose(image=pixels)["image"])
        # Another stream than the one that cut: strong noise shall not always come with the upper left corner.
        low = self._degrade(high, scale=self._scale, seed=sample_seed(seed, 0, 1))
        return {"low": image_tensor(low), "high": image_tensor(high), "name": photo.name}


class NativePairDataset(Dataset[dict[str, Any]]):
    """Whole pictures to be judged: ``low`` (3, H, W), ``high`` (3, scale * H, scale * W), and ``name``.

    Up to ``scale - 1`` rows and columns are cut off below and at the right, as the field does.

    Args:
        photos: in the order of their index.
        cache: gives pictures with the shorter side ``side``.
        side: as the cache was filled with.
        scale: how many times larger the high ones are.
        degrade: makes the low ones, the same way every time.
        seed: of the degradation.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        *,
        cache: PictureCache,
        side: int,
        scale: int,
        degrade: Degradation,
        seed: int,
    ) -> None:
        self._photos, self._cache, self._side = photos, cache, side
        self._scale, self._degrade, self._seed = scale, degrade, seed

    def __len__(self) -> int:
        return len(self._photos)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one pair; the epoch makes no difference.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        photo = self._photos[key.index]
        high = whole_multiple(self._cache.get(photo.path, self._side, photo.kind), self._scale)
        low = self._degrade(high, scale=self._scale, seed=sample_seed(self._seed, 0, key.index))
        return {"low": image_tensor(low), "high": image_tensor(high), "name": photo.name}


def whole_multiple(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Cuts off what makes the sides of a picture (H, W, ...) no multiples of ``scale``, below and at the right."""
    height, width = (side - side % scale for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])


def collate_pairs(samples: Sequence[dict[str, Any]]) -> NativePairBatch:
    """Lists pictures, which differ in size."""
    low: list[torch.Tensor] = [sample["low"] for sample in samples]
    return {"low": low, "high": [sample["high"] for sample in samples], "name": [sample["name"] for sample in samples]}


def _at_least(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Enlarges a picture whose shorter side is below ``side`` to just that."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter >= side:
        return image
    return resize_to(image, max(side, round(height * side / shorter)), max(side, round(width * side / shorter)))
