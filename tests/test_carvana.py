"""The Carvana data module: layout, split by car, samples, loaders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.loading.sampler import Key
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.stage import Stage
from tests.helpers.real_data import needs, real
from tests.helpers.tiny_images import HEIGHT, WIDTH, carvana, disc, noise, save

REAL = real("carvana")


def stage(size: int = 16, *, augment: bool = True, batch_size: int = 4) -> Stage:
    return Stage(name="test", size=size, batch_size=batch_size, epochs=1, lr=0.1, augment=augment)


def module(root: Path, cache: Path, *, num_workers: int = 0, seed: int = 0, keep_pct: float = 1.0) -> CarvanaDataModule:
    return CarvanaDataModule(root=root, cache_dir=cache, num_workers=num_workers, seed=seed, keep_pct=keep_pct)


@pytest.fixture
def data(tmp_path: Path) -> CarvanaDataModule:
    return module(carvana(tmp_path / "cars"), tmp_path / "cache")


def names(loader: DataLoader[dict[str, list[str]]]) -> list[str]:
    return [name for batch in loader for name in batch["name"]]


def test_validation_holds_whole_cars_and_no_image_is_lost(data: CarvanaDataModule) -> None:
    data.set_stage(stage(batch_size=2))
    train, val = set(names(data.train_dataloader())), set(names(data.val_dataloader()))
    assert len(train) == 8
    assert len(val) == 2
    assert not {name[:10] for name in train} & {name[:10] for name in val}
    assert train | val == {f"train/car{car}_{view:02}.jpg" for car in range(5) for view in (1, 2)}


def test_run_seed_does_not_change_the_split(data: CarvanaDataModule, tmp_path: Path) -> None:
    other = module(tmp_path / "cars", tmp_path / "cache", seed=9)
    assert [other.val_set(stage())[Key(0, i)]["name"] for i in range(2)] == [
        data.val_set(stage())[Key(0, i)]["name"] for i in range(2)
    ]


def test_sample_is_the_image_and_the_area_resized_mask(data: CarvanaDataModule) -> None:
    sample = data.val_set(stage(16))[Key(0, 0)]
    assert sample["image"].shape == (3, 16, 16)
    assert sample["image"].dtype == sample["mask"].dtype == torch.float32
    car, view = int(sample["name"][9]), int(sample["name"][11:13]) - 1
    # 48 x 32 to 16 x 16: every pixel is the mean of 3 x 2.
    mask = disc(car * 100 + view).reshape(16, 2, 16, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(sample["mask"], mask, atol=1 / 255)
    image = noise(car * 100 + view).reshape(16, 2, 16, 3, 3).mean(axis=(1, 3)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(sample["image"], image, atol=0.03)  # JPEG


def test_epochs_differ_only_with_augmentation(data: CarvanaDataModule) -> None:
    plain, moved = data.train_set(stage(augment=False)), data.train_set(stage())
    assert torch.equal(plain[Key(0, 1)]["image"], plain[Key(1, 1)]["image"])
    assert not torch.equal(moved[Key(0, 1)]["image"], moved[Key(1, 1)]["image"])
    assert not torch.equal(moved[Key(0, 1)]["mask"], plain[Key(0, 1)]["mask"])
    val = data.val_set(stage())
    assert torch.equal(val[Key(0, 1)]["image"], val[Key(1, 1)]["image"])


def test_equal_images_get_different_augmentations(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars")
    for path in (root / "train").iterdir():
        save(path, noise(0))
    train = module(root, tmp_path / "cache").train_set(stage())
    assert len({train[Key(0, index)]["image"].numpy().tobytes() for index in range(8)}) == 8


def test_size_changes_with_the_stage(data: CarvanaDataModule) -> None:
    assert data.train_set(stage(16))[Key(0, 0)]["image"].shape == (3, 16, 16)
    assert data.train_set(stage(24))[Key(0, 0)]["image"].shape == (3, 24, 24)


def test_test_masks_have_their_original_size(data: CarvanaDataModule) -> None:
    data.set_stage(stage(16))
    (batch,) = data.test_dataloader()
    assert batch["image"].shape == (2, 3, 16, 16)
    assert [mask.shape for mask in batch["mask"]] == [(HEIGHT, WIDTH)] * 2
    car, view = int(batch["name"][0][9]), int(batch["name"][0][11:13]) - 1
    assert batch["mask"][0].dtype == torch.uint8
    np.testing.assert_array_equal(batch["mask"][0], disc(car * 100 + view))


def batches(root: Path, cache: Path, *, workers: int, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    data = module(root, cache, num_workers=workers, seed=seed)
    data.set_stage(stage(batch_size=2))
    loader = data.train_dataloader()
    found = []
    for epoch in range(2):
        loader.batch_sampler.sampler.set_epoch(epoch)  # as Lightning does
        found += list(loader)
    return found


def test_batches_depend_on_seed_and_epoch_and_not_on_workers(tmp_path: Path) -> None:
    root, cache = carvana(tmp_path / "cars"), tmp_path / "cache"
    here, two = batches(root, cache, workers=0), batches(root, cache, workers=2)
    assert len(here) == len(two) == 8
    for one, other in zip(here, two, strict=True):
        assert one["name"] == other["name"]
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["mask"], other["mask"])
    images = {image.numpy().tobytes() for batch in two for image in batch["image"]}
    assert len(images) == 16  # 8 images, both epochs, nothing repeated
    assert [batch["name"] for batch in here[:4]] != [batch["name"] for batch in here[4:]]
    assert [b["name"] for b in batches(root, cache, workers=0, seed=1)] != [b["name"] for b in here]


def test_cached_samples_equal_decoded_ones(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars")
    decoded = module(root, tmp_path / "empty").train_set(stage())[Key(3, 4)]
    data = module(root, tmp_path / "full")
    data.prepare([stage()])
    assert len(list((tmp_path / "full" / "images").rglob("*.npy"))) == 20  # 10 images, 10 masks
    cached = data.train_set(stage())[Key(3, 4)]
    assert torch.equal(decoded["image"], cached["image"])
    assert torch.equal(decoded["mask"], cached["mask"])


def test_prepare_reports_the_data_and_stores_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, cache = carvana(tmp_path / "cars"), tmp_path / "cache"
    module(root, cache).prepare([])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"data: {root}: 10 images with masks in 5 groups, checked in ")
    assert said[1] == "  split: train 8 (4 groups), val 2 (1 group), test as val"
    assert said[2] == "  sizes: 48 x 32 (10)"
    assert said[3].startswith("  mask values: 0 = background 8")
    assert ", 255 = car 1" in said[3]
    module(root, cache).prepare([])
    assert "unchanged since it was checked" in capsys.readouterr().out
    Image.fromarray(noise(7)).save(root / "train" / "car0_01.jpg", quality=20)
    module(root, cache).prepare([])
    assert "checked in" in capsys.readouterr().out


def test_damaged_check_result_is_recreated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, cache = carvana(tmp_path / "cars"), tmp_path / "cache"
    module(root, cache).prepare([])
    stamps = list((cache / "checks").iterdir())
    assert len(stamps) == 2  # of the check, and of the search for duplicates
    whole = [stamp.read_bytes() for stamp in stamps]
    for stamp in stamps:
        stamp.write_bytes(stamp.read_bytes()[:1])
    module(root, cache).prepare([])
    assert capsys.readouterr().out.count("checked in") == 2
    assert [stamp.read_bytes() for stamp in stamps] == whole


def test_keep_pct_does_not_move_cars_between_splits(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=5, views=4)
    whole, half = module(root, tmp_path / "cache"), module(root, tmp_path / "cache", keep_pct=0.5)
    assert [len(s(stage())) for s in (whole.train_set, whole.val_set)] == [16, 4]
    assert [len(s(stage())) for s in (half.train_set, half.val_set)] == [8, 2]
    held = {whole.val_set(stage())[Key(0, i)]["name"] for i in range(4)}
    assert {half.val_set(stage())[Key(0, i)]["name"] for i in range(2)} < held


def write_listing(root: Path, *rows: str) -> None:
    (root / "train_masks.csv").write_text("\n".join(["img,rle_mask", *(f"{row},1 2" for row in rows)]) + "\n")


def test_csv_listing_is_accepted(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=2, views=1)
    write_listing(root, "car0_01.jpg", "car1_01.jpg")
    data = module(root, tmp_path / "cache")
    data.setup("fit")
    assert [len(split(stage())) for split in (data.train_set, data.val_set)] == [1, 1]


def test_csv_listing_that_does_not_match_is_refused(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=2, views=1)
    write_listing(root, "car0_01.jpg", "car7_01.jpg", "../car1_01.jpg")
    with pytest.raises(DataError) as error:
        module(root, tmp_path / "cache").setup("fit")
    message = str(error.value)
    assert (
        "train_masks.csv line 3: row without an image (car7_01.jpg; this file is not needed and may be removed)"
        in message
    )
    assert "train_masks.csv line 4: row that points outside the root (../car1_01.jpg)" in message
    assert "train/car1_01.jpg: image that train_masks.csv does not list" in message


def test_file_name_without_car_id_is_refused(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=2, views=1)
    for folder, old, new in (
        ("train", "car0_01.jpg", "mine.jpg"),
        ("train_masks", "car0_01_mask.gif", "mine_mask.gif"),
    ):
        (root / folder / old).rename(root / folder / new)
    with pytest.raises(DataError, match=r"train/mine\.jpg: name without its group"):
        module(root, tmp_path / "cache").setup("fit")


def test_one_car_cannot_be_split(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=1, views=3)
    with pytest.raises(DataError, match=r"1 group\(s\) of images \(car0\) cannot be split"):
        module(root, tmp_path / "cache").setup("fit")


def test_missing_carvana_folders_are_named(tmp_path: Path) -> None:
    (tmp_path / "cars" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"has no folder train_masks: Carvana's layout is .* use FolderDataModule"):
        module(tmp_path / "cars", tmp_path / "cache").setup("fit")


@needs(REAL)
def test_real_images(tmp_path: Path) -> None:
    data = module(REAL, tmp_path)
    assert len(data.train_set(stage())) == 72
    assert len(data.val_set(stage())) == 8
    sample = data.test_set(stage(64))[Key(0, 0)]
    assert sample["mask"].shape == (1280, 1918)
    assert 0.1 < float(sample["mask"].float().mean()) < 0.4


def test_rendered_set_follows_the_options(tmp_path: Path) -> None:
    data = CarvanaDataModule(
        cache_dir=tmp_path, sample_cars=2, sample_views=1, sample_seed=4, sample_varied=True, num_workers=0
    )
    assert data.sample_root().name.endswith("seed4-2x1-varied")
    assert len(list((data.sample_root() / "train").iterdir())) == 2


def test_one_rendered_car_is_refused() -> None:
    with pytest.raises(ValueError, match="sample_cars must be at least 2"):
        CarvanaDataModule(sample_cars=1)
