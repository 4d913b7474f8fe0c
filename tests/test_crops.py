"""Stages that train on random crops: place, scale, padding, data sets of images of different sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from callbacks.training.progressive_resizing import ProgressiveResizing
from datamodules.errors import DataError
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.sampler import Key
from datamodules.segmentation.crop import RandomCrop, checked_crops
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from models.losses.mask_target import IGNORE

CROP = Stage(name="crops", size=64, crop=16, batch_size=2, epochs=1, lr=0.01)


def coordinates(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image whose red and green are row and column, and a mask that holds the row."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.dstack([rows, columns, np.zeros_like(rows)]), rows


def write_data(root: Path, sizes: list[tuple[int, int]]) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        image, rows = coordinates(height, width)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray((rows >= height // 2).astype(np.uint8)).save(root / "masks" / f"{number}.png")
    return root


def folder_data(tmp_path: Path, sizes: list[tuple[int, int]], **options: Any) -> FolderDataModule:
    root = write_data(tmp_path / "data", sizes)
    settings: dict[str, Any] = {"classes": ["above", "below"], "rotate": 0, "flip": False, "light": 0, **options}
    return FolderDataModule(root=root, cache_dir=tmp_path / "cache", num_workers=0, **settings)


def test_crops_lie_inside_and_reach_every_place() -> None:
    image, mask = coordinates(20, 30)
    crop = RandomCrop(16, coverage=False)
    corners = set()
    for seed in range(400):
        part, labels = crop(image, mask, seed=seed)
        assert part.shape == (16, 16, 3)
        np.testing.assert_array_equal(part[..., 0], labels)  # image and mask move together
        np.testing.assert_array_equal(labels[:, 0], labels[0, 0] + np.arange(16))
        corners.add((int(part[0, 0, 0]), int(part[0, 0, 1])))
    assert corners == {(row, column) for row in range(5) for column in range(15)}


def test_padding_is_ignored_and_the_image_placed_at_random() -> None:
    image, mask = coordinates(4, 6)
    tops = set()
    for seed in range(100):
        part, labels = RandomCrop(8, coverage=False)(image, mask, seed=seed)
        known = labels != IGNORE
        assert known.sum() == 24
        np.testing.assert_array_equal(part[..., 0][known], labels[known])
        tops.add(int(np.flatnonzero(known.any(1))[0]))
    assert tops == {0, 1, 2, 3, 4}


def test_padding_of_coverage_is_marked_in_the_second_channel() -> None:
    image, _ = coordinates(4, 8)
    mask = np.dstack([np.full((4, 8), 255, np.uint8), np.zeros((4, 8), np.uint8)])
    _, labels = RandomCrop(8, coverage=True)(image, mask, seed=0)
    assert sorted(map(tuple, np.unique(labels.reshape(-1, 2), axis=0).tolist())) == [(0, 255), (255, 0)]
    assert (labels[..., 1] == 0).sum() == 32


def test_scale_is_drawn_from_its_range_evenly_on_a_logarithmic_axis() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    mask = np.repeat(np.arange(200, dtype=np.uint8)[:, None], 200, axis=1)
    crop = RandomCrop(50, scale=(0.5, 2.0), coverage=False)
    spans = []
    for seed in range(300):
        _, labels = crop(image, mask, seed=seed)
        spans.append(int(labels[-1, 0]) - int(labels[0, 0]) + 1)  # rows of the image in the crop: 50 / scale
    assert min(spans) >= 24
    assert max(spans) <= 101
    assert 0.4 < np.mean(np.array(spans) < 50) < 0.6  # as many are enlarged as reduced


@pytest.mark.parametrize("scale", [(0.0, 1.0), (2.0, 1.0)])
def test_an_empty_range_of_scales_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="random_scale must be two numbers above 0"):
        checked_crops(scale, 1)


def test_images_of_different_sizes_train_together_and_are_validated_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [(40, 30), (20, 50), (12, 90), (64, 64), (33, 47)]
    data = folder_data(tmp_path, sizes, crops=3, val_share=0.4)
    data.prepare([CROP])
    out = capsys.readouterr().out
    data.set_stage(CROP)
    small = sum(min(sizes[int(Path(sample.name).stem)]) < 16 for sample in data._load().samples["train"])
    padded = f"stage crops: {small} of 3 training images are smaller than the crop of 16 px" in out
    assert padded == (small > 0)
    train = data.train_set(CROP)
    assert len(train) == 9  # type: ignore[arg-type]
    batches = list(data.train_dataloader())
    assert [tuple(batch["image"].shape) for batch in batches] == [(2, 3, 16, 16)] * 4
    again = train[Key(1, 4)]  # type: ignore[index]
    assert torch.equal(again["image"], train[Key(1, 4)]["image"])  # type: ignore[index]
    assert not torch.equal(again["image"], train[Key(2, 4)]["image"])  # type: ignore[index]
    for batch in data.val_dataloader():
        height, width = sizes[int(Path(batch["name"][0]).stem)]
        assert batch["image"].shape == (1, 3, height, width)
        assert batch["image"].dtype == torch.uint8
        assert batch["mask"].tolist() == [[[int(row >= height // 2)] * width for row in range(height)]]


def test_the_size_limits_the_shorter_side(tmp_path: Path) -> None:
    data = folder_data(tmp_path, [(40, 80)] * 3)
    data.set_stage(Stage(name="half", size=20, crop=16, batch_size=1, epochs=1, lr=0.01))
    assert next(iter(data.val_dataloader()))["image"].shape == (1, 3, 20, 40)
    tested = next(iter(data.test_dataloader()))
    assert tested["image"].shape == (1, 3, 20, 40)
    assert tested["mask"][0].shape == (40, 80)


def test_one_class_ignores_the_padding(tmp_path: Path) -> None:
    data = folder_data(tmp_path, [(8, 8)] * 3, classes=["thing"])
    mask = data.train_set(CROP)[Key(0, 0)]["mask"]  # type: ignore[index]
    assert mask.dtype == torch.float32
    assert (mask == IGNORE).sum() == 16 * 16 - 8 * 8
    assert set(mask.unique().tolist()) == {0.0, 1.0, float(IGNORE)}


def test_a_scale_without_crops_and_crops_of_other_tasks_are_refused(tmp_path: Path) -> None:
    whole = Stage(name="whole", size=16, batch_size=1, epochs=1, lr=0.01)
    with pytest.raises(DataError, match="needs a stage with crop"):
        folder_data(tmp_path, [(8, 8)] * 3, random_scale=(0.5, 2.0)).check_stages([whole])
    with pytest.raises(DataError, match="stage 'crops': crop is for segmentation"):
        SuperResolutionDataModule(root=tmp_path, cache_dir=tmp_path).check_stages([CROP])
    with pytest.raises(ValueError, match="stage 'a': crop must be at least 1, not 0"):
        Stage(name="a", size=1, crop=0, batch_size=1, epochs=1, lr=1.0)


class Pointwise(nn.Conv2d):
    """Tells rows apart by their color."""

    def __init__(self) -> None:
        super().__init__(3, 2, 1)

    def layer_groups(self) -> list[list[nn.Module]]:
        return [[self]]

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image * 10)


def test_fit_and_test_run_in_a_stage_of_crops(tmp_path: Path) -> None:
    data = folder_data(tmp_path, [(40, 30), (20, 50), (12, 90), (64, 64), (33, 47)], crops=4)
    torch.manual_seed(0)
    module = SegmentationModule(net=Pointwise(), classes=("above", "below"))
    stage = Stage(name="crops", size=64, crop=16, batch_size=4, epochs=3, lr=0.1)
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[ProgressiveResizing([stage])],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data)
    fitted = trainer.callback_metrics["val/accuracy"].item()
    scores = trainer.test(module, data, verbose=False)[0]
    assert scores["test/accuracy"] == pytest.approx(fitted)  # nothing is resized: both see the same pixels
