"""The data module for folders of images and masks: layouts, splits, class lists."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.errors import DataError
from datamodules.index.splits import Split
from datamodules.loading.sampler import Key
from datamodules.segmentation.datamodule import SegmentDataModule
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from tests.helpers.real_data import needs, real
from tests.helpers.tiny_images import HEIGHT, WIDTH, disc, folders, noise, save

REAL = real("camvid")
STAGE = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1, augment=False)
CAMVID = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]


def names(data: SegmentDataModule, split: Split) -> list[str]:
    chosen = {"train": data.train_set, "val": data.val_set, "test": data.test_set}[split](STAGE)
    return [chosen[Key(0, index)]["name"] for index in range(len(chosen))]  # type: ignore[arg-type]


def test_images_and_masks_are_split_by_image(tmp_path: Path) -> None:
    data = FolderDataModule(root=folders(tmp_path / "d", count=10), cache_dir=tmp_path, num_workers=0)
    assert len(names(data, "train")) == 8
    assert len(names(data, "val")) == 2
    assert names(data, "test") == names(data, "val")
    assert data.class_names == ("foreground",)


def test_train_and_val_folders_are_kept(tmp_path: Path) -> None:
    root = tmp_path / "d"
    folders(root, count=3, images="train/images", masks="train/masks")
    folders(root, count=2, images="val/images", masks="val/masks")
    data = FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0)
    assert names(data, "train") == ["train/images/p0.png", "train/images/p1.png", "train/images/p2.png"]
    assert names(data, "val") == names(data, "test") == ["val/images/p0.png", "val/images/p1.png"]


def test_test_folder_is_used_when_it_has_masks(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for split in ("train", "val", "test"):
        folders(root, count=2, images=f"{split}/images", masks=f"{split}/masks")
    assert names(FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0), "test") == [
        "test/images/p0.png",
        "test/images/p1.png",
    ]


def test_camvid_layout(tmp_path: Path) -> None:
    root = tmp_path / "d"
    folders(root, count=3, images="train", masks="trainannot")
    folders(root, count=1, images="val", masks="valannot")
    data = FolderDataModule(root=root, image_dir="{split}", mask_dir="{split}annot", cache_dir=tmp_path, num_workers=0)
    assert names(data, "train") == ["train/p0.png", "train/p1.png", "train/p2.png"]
    assert names(data, "val") == ["val/p0.png"]


def test_split_file(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=4)
    (root / "split.csv").write_text("name,split\np0,val\np1.png,train\nimages/p2.png,train\np3,test\n")
    data = FolderDataModule(root=root, split_file="split.csv", cache_dir=tmp_path, num_workers=0)
    assert [names(data, split) for split in ("train", "val", "test")] == [
        ["images/p1.png", "images/p2.png"],
        ["images/p0.png"],
        ["images/p3.png"],
    ]


def test_split_file_without_validation(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=1)
    (root / "split.csv").write_text("name,split\np0,train\n")
    with pytest.raises(DataError, match="no image is in the split 'val'"):
        FolderDataModule(root=root, split_file="split.csv", cache_dir=tmp_path, num_workers=0).setup("fit")


def test_groups_are_not_split(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for place in range(5):
        for shot in range(3):
            save(root / "images" / f"site {place}" / f"shot.{shot}.png", noise(place * 10 + shot))
            save(root / "masks" / f"site {place}" / f"shot.{shot}.png", disc(place * 10 + shot))
    data = FolderDataModule(root=root, group_pattern=r"^site \d", cache_dir=tmp_path, num_workers=0)
    assert len({name.split("/")[1] for name in names(data, "train")}) == 4
    assert len(names(data, "train")) == 12
    assert len({name.split("/")[1] for name in names(data, "val")}) == 1
    assert len(names(data, "val")) == 3


def test_group_in_both_parts_of_a_split_file_is_named(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=2)
    (root / "split.csv").write_text("name,split\np0,train\np1,val\n")
    data = FolderDataModule(root=root, split_file="split.csv", group_pattern="^p", cache_dir=tmp_path, num_workers=0)
    with pytest.raises(DataError, match=r"p: group in more than one split \(images/p0.png in train, .*p1.png in val\)"):
        data.setup("fit")


def test_group_in_both_split_folders_is_named(tmp_path: Path) -> None:
    root = tmp_path / "d"
    for split in ("train", "val"):
        folders(root, count=1, images=f"{split}/images", masks=f"{split}/masks")
    FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0).setup("fit")  # equal names alone are no group
    with pytest.raises(DataError, match="p0: group in more than one split"):
        FolderDataModule(root=root, group_pattern="p0", cache_dir=tmp_path, num_workers=0).setup("fit")


@pytest.mark.parametrize("value", [1, 255])
def test_one_class_is_stored_as_1_or_255(tmp_path: Path, value: int) -> None:
    data = FolderDataModule(root=folders(tmp_path / "d", value=value), cache_dir=tmp_path, num_workers=0)
    masks = data.test_set(STAGE)
    for index in range(len(masks)):  # type: ignore[arg-type]
        sample = masks[Key(0, index)]  # type: ignore[index]
        np.testing.assert_array_equal(sample["mask"], disc(int(sample["name"][8])))


def test_soft_masks_need_a_threshold(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=2)
    for number in range(2):
        save(root / "masks" / f"p{number}.png", np.tile(np.arange(WIDTH, dtype=np.uint8) * 5, (HEIGHT, 1)))
    with pytest.raises(DataError, match=r"found 0, 5, 10, .*; known 0, 1(.|\n)*set mask_threshold"):
        FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0).setup("fit")
    data = FolderDataModule(root=root, mask_threshold=120, cache_dir=tmp_path, num_workers=0)
    mask = data.test_set(STAGE)[Key(0, 0)]["mask"]  # type: ignore[index]
    assert mask[0].tolist() == [0] * 24 + [1] * 24  # 24 * 5 = 120


def class_mask(seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 11], np.uint8), (HEIGHT, WIDTH))


def test_several_classes_with_an_ignore_value(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=5)
    for number in range(5):
        save(root / "masks" / f"p{number}.png", class_mask(number))
    data = FolderDataModule(root=root, classes=["sky", "road", "car"], ignore=11, cache_dir=tmp_path, num_workers=0)
    turned = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1)
    sample = data.train_set(turned)[Key(0, 0)]  # type: ignore[index]
    assert sample["mask"].dtype == torch.int64
    assert sample["mask"].shape == (16, 16)
    assert set(sample["mask"].unique().tolist()) == {0, 1, 2, 255}
    native = data.test_set(STAGE)[Key(0, 0)]  # type: ignore[index]
    wanted = class_mask(int(native["name"][8]))
    np.testing.assert_array_equal(native["mask"], np.where(wanted == 11, 255, wanted))
    assert data.class_names == ("sky", "road", "car")


def test_value_without_class_is_named_with_its_files(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=3)
    save(root / "masks" / "p1.png", np.full((HEIGHT, WIDTH), 9, np.uint8))
    data = FolderDataModule(root=root, classes=["a", "b"], ignore=255, cache_dir=tmp_path, num_workers=0)
    with pytest.raises(
        DataError, match=r"masks/p1.png: mask values outside the class list \(found 9; known 0, 1, 255\)"
    ):
        data.setup("fit")


def test_masks_beside_their_images(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "d" / f"p{number}.png", noise(number))
        save(tmp_path / "d" / f"p{number}-matte.png", disc(number))
    data = FolderDataModule(
        root=tmp_path / "d", image_dir=".", mask_dir=".", mask_suffix="-matte", cache_dir=tmp_path, num_workers=0
    )
    assert sorted(names(data, "train") + names(data, "val")) == [f"p{number}.png" for number in range(4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": []}, "the class list is empty"),
        ({"classes": ["a", "b", "a"]}, "names a more than once"),
        ({"ignore": 0}, r"ignore 0: expected a stored value of up to 65535 \(0 is the background\)"),
        ({"classes": ["a", "b"], "ignore": 1}, "ignore value 1 is also one of the class numbers"),
        ({"classes": ["a", "b"], "mask_threshold": 9}, "mask_threshold is for one class"),
        ({"mask_threshold": 0}, "mask_threshold must lie between 1 and 255"),
        ({"image_dir": "{split}"}, r"\{split\} must be in both or neither"),
        ({"image_dir": "masks"}, "need a mask_suffix"),
        ({"image_dir": "{split}/a", "mask_dir": "{split}/b", "split_file": "s.csv"}, "are two splits"),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        FolderDataModule(root=Path(), **options)  # type: ignore[arg-type]


def test_two_layouts_at_once_are_refused(tmp_path: Path) -> None:
    folders(tmp_path / "d")
    folders(tmp_path / "d", images="train/images", masks="train/masks")
    with pytest.raises(DataError, match=r"fits several layouts: images in images, .* images in \{split\}/images"):
        FolderDataModule(root=tmp_path / "d", cache_dir=tmp_path, num_workers=0).setup("fit")


@pytest.mark.parametrize(
    ("orientation", "drawn_on"),
    # A half turn leaves the size as it is, so a mask drawn on the displayed image would have to carry the tag.
    [(1, "stored"), (3, "stored"), (6, "stored"), (8, "stored"), (6, "displayed"), (8, "displayed")],
)
def test_exif_rotation_applies_to_image_and_mask(tmp_path: Path, orientation: int, drawn_on: str) -> None:
    """The mask covers the bright pixels, whether it was drawn on the stored or the displayed image."""
    stored = disc(5)
    quarter_turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]  # np.rot90 turns against the clock
    shown = np.ascontiguousarray(np.rot90(stored, quarter_turns))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for number in range(2):
        save(tmp_path / "d" / "masks" / f"p{number}.png", shown if drawn_on == "displayed" else stored)
        path = tmp_path / "d" / "images" / f"p{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(np.repeat(stored[..., None] * np.uint8(255), 3, axis=2))
        image.save(path, exif=exif, quality=95)
    sample = FolderDataModule(root=tmp_path / "d", cache_dir=tmp_path, num_workers=0).val_set(STAGE)[Key(0, 0)]  # type: ignore[index]
    assert float((sample["image"][0] - sample["mask"]).abs().mean()) < 0.03
    native = FolderDataModule(root=tmp_path / "d", cache_dir=tmp_path, num_workers=0).test_set(STAGE)[Key(0, 0)]  # type: ignore[index]
    np.testing.assert_array_equal(native["mask"], shown)


@needs(REAL)
def test_real_street_scenes(tmp_path: Path) -> None:
    data = FolderDataModule(
        root=REAL,
        classes=CAMVID,
        ignore=11,
        image_dir="{split}",
        mask_dir="{split}annot",
        cache_dir=tmp_path,
        num_workers=0,
    )
    assert len(names(data, "train")) == 90
    assert len(names(data, "val")) == 30
    mask = data.test_set(STAGE)[Key(0, 0)]["mask"]  # type: ignore[index]
    assert mask.shape == (360, 480)
    assert set(mask.unique().tolist()) <= {*range(11), 255}
