"""Pairs to train super-resolution and repairs: a patch cut from an image, and what was made of it."""

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
from datamodules.images.patch_cropper import PatchCutter
from datamodules.io.tensors import image_tensor
from datamodules.loading.randomness import Key, sample_seed

#: Pixels around a low patch that are cut off again after shrinking: a kernel of four pixels reaches two beyond the
#: border, and would weigh the patch's last ones otherwise than it does inside an image.
MARGIN = 4


class PatchDataset(Dataset[dict[str, Any]]):
    """Pairs of patches: ``low`` (3, S, S) and ``high`` (3, scale * S, scale * S), float32 in [0, 1], and ``name``.

    The low one is made from the high one after everything else was done to it, so the scale is exact and both are
    turned and mirrored alike. What is drawn is a function of (seed, epoch, index).

    Args:
        cutter: cuts the high patches.
        scale: how many times larger the high ones are.
        degrade: makes the low ones.
        margin: pixels on each side of a low patch that are cut off again, ``scale`` times as many of a high one.
    """

    def __init__(self, cutter: PatchCutter, *, scale: int, degrade: Degradation, margin: int) -> None:
        self._cutter, self._scale, self._degrade, self._margin = cutter, scale, degrade, margin

    def __len__(self) -> int:
        return len(self._cutter)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one pair of one epoch.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        high = self._cutter.cut(key)
        # Another stream than the one that cut: strong noise shall not always come with the upper left corner.
        low = self._degrade(high, scale=self._scale, seed=sample_seed(self._cutter.seed(key), 0, 1))
        low, high = _inner(low, self._margin), _inner(high, self._margin * self._scale)
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": self._cutter.name(key)}


class NativePairDataset(Dataset[dict[str, Any]]):
    """Whole images to be judged: ``low`` (3, H, W), ``high`` (3, scale * H, scale * W), and ``name``.

    Up to ``scale - 1`` rows and columns are cut off below and at the right, as the field does.

    Args:
        images: in the order of their index.
        cache: gives images with the shorter side ``side``.
        side: as the cache was filled with.
        scale: how many times larger the high ones are.
        degrade: makes the low ones, the same way every time.
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

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one pair; the epoch makes no difference.

        Raises:
            DataError: if a file has gone or changed for the worse since it was checked.
        """
        image = self._images[key.index]
        high = whole_multiple(self._cache.get(image.path, self._side, image.kind), self._scale)
        low = self._degrade(high, scale=self._scale, seed=sample_seed(self._seed, 0, key.index))
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": image.name}


def whole_multiple(image: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Cuts off what makes the sides of an image (H, W, ...) no multiples of ``scale``, below and at the right."""
    height, width = (side - side % scale for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])


def collate_pairs(samples: Sequence[dict[str, Any]]) -> NativePairBatch:
    """Lists images, which differ in size."""
    low: list[torch.Tensor] = [sample["low_res"] for sample in samples]
    return {
        "low_res": low,
        "high_res": [sample["high_res"] for sample in samples],
        "name": [sample["name"] for sample in samples],
    }


def _inner(image: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[margin : height - margin, margin : width - margin])
