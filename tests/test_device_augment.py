"""Augmentation on the network's device: the same pixels as OpenCV's in the loaders, within its precision."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.data import astronaut
from torch.utils.data import default_collate

from datamodules.errors import DataError
from datamodules.io.tensors import image_tensor
from datamodules.loading.sampler import Key
from datamodules.segmentation.augment import Augment
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.segmentation.device_augment import TURN, augment_batch, delayed_sample
from datamodules.segmentation.mask_encodings import mask_target
from datamodules.stage import Stage
from tests.helpers.tiny_images import carvana

STAGE = Stage(name="16 px", size=16, batch_size=4, epochs=1, lr=1e-3)
SEEDS = range(6)


def soft_disc(size: int = 256) -> NDArray[np.uint8]:
    """A disc whose edge is 8 pixels wide."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - 100, columns - 150)
    return np.rint(np.clip((60 - distance) / 8, 0, 1) * 255).astype(np.uint8)


def both(image: NDArray[np.uint8], mask: NDArray[np.uint8], *, coverage: bool) -> tuple[dict[str, Any], list[Any]]:
    """A batch augmented on the device, and the samples that the loaders augment, for all seeds."""
    augment = Augment(rotate=10, light=0.2, coverage=coverage)
    batch = default_collate([delayed_sample(image, mask, augment.draws(seed), name=str(seed)) for seed in SEEDS])
    plain = [augment(image, mask, seed=seed) for seed in SEEDS]
    return augment_batch(batch, coverage=coverage), plain


def test_images_and_coverage_are_those_of_the_loaders() -> None:
    image, mask = astronaut()[:256, 100:356], soft_disc()
    batch, plain = both(image, mask, coverage=True)
    assert batch["name"] == [str(seed) for seed in SEEDS]
    for index, (turned, moved) in enumerate(plain):
        error = (batch["image"][index] - image_tensor(turned)).abs() * 255
        assert error.mean() < 1  # OpenCV rounds coordinates to 1/32 of a pixel, and values twice
        assert error.quantile(0.999) < 8
        assert (batch["mask"][index] - mask_target(moved, coverage=True)).abs().max() < 0.02
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32


def test_class_numbers_are_those_of_the_loaders() -> None:
    mask = np.where(soft_disc() > 127, np.uint8(7), np.uint8(2))
    mask[200:, :40] = 255
    batch, plain = both(astronaut()[:256, 100:356], mask, coverage=False)
    assert batch["mask"].dtype == torch.int64
    assert set(batch["mask"].unique().tolist()) == {2, 7, 255}
    for index, (_, moved) in enumerate(plain):
        assert (batch["mask"][index] == mask_target(moved, coverage=False)).float().mean() > 0.997  # edges may differ


def test_ignored_pixels_are_those_of_the_loaders() -> None:
    mask = np.dstack([soft_disc(), np.zeros((256, 256), np.uint8)])
    mask[30:90, 20:80, 1] = 255
    batch, plain = both(astronaut()[:256, 100:356], mask, coverage=True)
    for index, (_, moved) in enumerate(plain):
        found, expected = batch["mask"][index] == 255, mask_target(moved, coverage=True) == 255
        assert expected.sum() > 3000
        assert (found == expected).float().mean() > 0.998


def test_a_batch_of_a_data_module_is_augmented_once_and_reproducibly(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars")
    data = CarvanaDataModule(root=root, cache_dir=tmp_path / "cache", num_workers=0, device_augment=True)
    plain = CarvanaDataModule(root=root, cache_dir=tmp_path / "cache", num_workers=0)
    for module in (data, plain):
        module.set_stage(STAGE)
    loaded = next(iter(data.train_dataloader()))
    assert loaded["image"].dtype == torch.uint8
    batch = data.on_after_batch_transfer(loaded, 0)
    assert TURN not in batch
    expected = next(iter(plain.train_dataloader()))
    assert batch["name"] == expected["name"]
    assert (batch["image"] - expected["image"]).abs().mean() < 2 / 255
    again = data.dry_run_batch(STAGE)
    assert again["image"].dtype == torch.float32
    assert torch.equal(again["image"], data.dry_run_batch(STAGE)["image"])
    assert data.val_set(STAGE)[Key(0, 0)]["image"].dtype == torch.float32


def test_what_the_device_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="device_augment is for rotation"):
        CarvanaDataModule(device_augment=True, transforms=["VerticalFlip"])
    crops = Stage(name="crops", size=64, crop=32, batch_size=4, epochs=1, lr=1e-3)
    with pytest.raises(DataError, match="stage 'crops': crop is not possible"):
        CarvanaDataModule(device_augment=True).check_stages([crops])
