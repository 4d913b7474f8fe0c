"""``--data.root`` alone finds images and masks in the usual layouts, and names what it found."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from experiments.cli.main import main
from tests.helpers.tiny_images import carvana, disc, folders, noise, save

Capture = pytest.CaptureFixture[str]
STAGE = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1, augment=False)


def write_pairs(root: Path, images: str, masks: str, count: int, *, suffix: str = "", first: int = 0) -> None:
    for number in range(first, first + count):
        save(root / images / f"p{number}.jpg", noise(number))
        save(root / masks / f"p{number}{suffix}.png", disc(number))


def split_sizes(root: Path, cache: Path, **options: object) -> dict[str, int]:
    data = FolderDataModule(root=root, cache_dir=cache, num_workers=0, **options)  # type: ignore[arg-type]
    data.prepare([STAGE])
    sets = {"train": data.train_set(STAGE), "val": data.val_set(STAGE), "test": data.test_set(STAGE)}
    return {split: len(dataset) for split, dataset in sets.items()}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [
        ("images", "masks", ""),
        ("imgs", "labels", "_mask"),
        ("JPEGImages", "SegmentationClass", ""),
        ("images", "labels", "_L"),
        (".", ".", "_mask"),
    ],
)
def test_two_folders_or_one(images: str, masks: str, suffix: str, tmp_path: Path) -> None:
    write_pairs(tmp_path / "d", images, masks, 6, suffix=suffix)
    assert split_sizes(tmp_path / "d", tmp_path / "c") == {"train": 5, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [
        ("{}/images", "{}/masks", ""),
        ("images/{}", "masks/{}", ""),
        ("{}", "{}annot", ""),
        ("{}", "{}_labels", "_L"),
        ("{}", "{}", "_mask"),
    ],
)
@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("train", "valid", "test"), ("Training", "Validation", "Test")]
)
def test_folders_of_splits(
    images: str,
    masks: str,
    suffix: str,
    names: tuple[str, str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = 0
    for name, count in zip(names, (5, 3, 2), strict=True):
        write_pairs(tmp_path / "d", images.format(name), masks.format(name), count, suffix=suffix, first=first)
        first += count
    assert split_sizes(tmp_path / "d", tmp_path / "c") == {"train": 5, "val": 3, "test": 2}
    assert f"layout found: images {'and masks ' if images == masks else ''}in {images.format('{split}')}" in (
        capsys.readouterr().out
    )


def test_without_a_validation_folder_images_are_held_out_of_train_and_test_is_kept(tmp_path: Path) -> None:
    write_pairs(tmp_path / "d", "train/images", "train/masks", 10)
    write_pairs(tmp_path / "d", "test/images", "test/masks", 3, first=10)
    assert split_sizes(tmp_path / "d", tmp_path / "c") == {"train": 8, "val": 2, "test": 3}


def test_carvana_is_grouped_by_car(tmp_path: Path) -> None:
    data = FolderDataModule(root=carvana(tmp_path / "d", cars=3, views=4), cache_dir=tmp_path / "c", num_workers=0)
    data.prepare([STAGE])
    assert (len(data.train_set(STAGE)), len(data.val_set(STAGE))) == (8, 4)  # type: ignore[arg-type]


def test_val_and_valid_together_are_refused(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "val", "valid")):
        write_pairs(tmp_path / "d", f"{name}/images", f"{name}/masks", 2, first=2 * number)
    with pytest.raises(DataError, match=r"val/images and .*valid/images are both the split 'val'"):
        split_sizes(tmp_path / "d", tmp_path / "c")


def test_an_unknown_layout_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    write_pairs(tmp_path / "outer" / "d", "images", "masks", 3)
    with pytest.raises(DataError, match=r"\(its folders: d\)\. Use --data\.root .*outer/d\.(.|\n)*train_masks/car1_01"):
        split_sizes(tmp_path / "outer", tmp_path / "c")


def test_masks_below_the_images(tmp_path: Path) -> None:
    write_pairs(tmp_path / "d", ".", "masks", 8)
    assert split_sizes(tmp_path / "d", tmp_path / "c", image_dir=".") == {"train": 7, "val": 1, "test": 1}
    write_pairs(tmp_path / "e", "masks/photos", "masks", 8)
    assert split_sizes(tmp_path / "e", tmp_path / "c", image_dir="masks/photos")["train"] == 7


def test_absolute_folders_outside_the_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root").mkdir()
    write_pairs(tmp_path / "other", "photos", "labels", 6)
    named = {"image_dir": str(tmp_path / "other/photos"), "mask_dir": str(tmp_path / "other/labels")}
    assert split_sizes(tmp_path / "root", tmp_path / "c", **named)["train"] == 5
    (tmp_path / "other/labels/p3.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"\.\./other/labels/p3\.png: file that cannot be read"):
        split_sizes(tmp_path / "root", tmp_path / "c", **named)


def test_home_folder_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders(tmp_path / "pics")
    assert split_sizes(Path("~/pics"), tmp_path / "c")["train"] == 5


@pytest.mark.parametrize(("on_disk", "in_file"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_split_file_in_another_unicode_form(on_disk: str, in_file: str, tmp_path: Path) -> None:
    names = ["café", "p1", "p2", "p3"]
    for number, name in enumerate(names):
        stored = unicodedata.normalize(on_disk, name)  # type: ignore[arg-type]
        save(tmp_path / f"d/images/{stored}.png", noise(number))
        save(tmp_path / f"d/masks/{stored}.png", disc(number))
    rows = [f"{unicodedata.normalize(in_file, name)},{'valid' if name == 'café' else 'train'}" for name in names]  # type: ignore[arg-type]
    (tmp_path / "d/split.csv").write_text("\n".join(["name,split", *rows]), encoding="utf-8")
    assert split_sizes(tmp_path / "d", tmp_path / "c", split_file="split.csv") == {"train": 3, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("text", "names"), [("dog", ("dog",)), ("sky, road", ("sky", "road")), ("[a, b]", ("a", "b")), ("[dog]", ("dog",))]
)
def test_classes_on_the_command_line(
    text: str,
    names: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "d")
    words = ["--data.cache_dir", "c", "--data.num_workers", "0", "--data.classes", text]
    assert (
        main(["--task", "segment", "prepare", "--data", "datamodules.FolderDataModule", "--data.root", "d", *words])
        == 0
    )
    values = next(line for line in capsys.readouterr().out.splitlines() if "mask values" in line)
    assert f"1 = {names[-1]}" in values


@pytest.mark.parametrize("layout", ["folders", "carvana"])
def test_root_alone_chooses_the_data_module(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "d") if layout == "folders" else carvana(tmp_path / "d")
    words = ["--data.cache_dir", "c", "--data.num_workers", "0"]
    assert main(["--task", "segment", "prepare", "--data.root", "d", *words]) == 0
    out = capsys.readouterr().out
    assert ("layout found: images in images, masks in masks" in out) == (layout == "folders")
    assert ("5 groups" in out) == (layout == "carvana")
    assert main(["--task", "segment", "prepare", "--data.root", "c", *words]) == 2
    assert "Known layouts" in capsys.readouterr().err


def test_voc_is_found_with_its_classes_and_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Images without a mask are left out, as VOC has many of them, and so are those that no list names."""
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        save(tmp_path / f"VOC2012/JPEGImages/{number}.jpg", noise(number))
    for number in range(4):
        mask = np.where(disc(number) > 0, 12, 0).astype(np.uint8)
        mask[0] = 255
        save(tmp_path / f"VOC2012/SegmentationClass/{number}.png", mask)
    lists = tmp_path / "VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n", encoding="utf-8")
    (lists / "val.txt").write_text("2\n", encoding="utf-8")
    words = ["--data.cache_dir", "c", "--data.num_workers", "0"]
    assert main(["--task", "segment", "prepare", "--data.root", "VOC2012", *words]) == 0
    told = capsys.readouterr().out
    assert "layout found: Pascal VOC, images in JPEGImages, masks in SegmentationClass" in told
    assert "left out: 2 images without a mask, 1 images that no list names" in told
    assert "split: train 2, val 1, test as val" in told
    assert "12 = dog" in told
    assert "255 = ignored" in told
    assert main(["--task", "segment", "prepare", "--data.root", "VOC2012", "--data.classes", "thing", *words]) == 2
    assert "mask values outside the class list" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_gt"])
def test_one_folder_with_both(suffix: str, tmp_path: Path) -> None:
    write_pairs(tmp_path / "d", ".", ".", 6, suffix=suffix)
    assert split_sizes(tmp_path / "d", tmp_path / "c") == {"train": 5, "val": 1, "test": 1}
