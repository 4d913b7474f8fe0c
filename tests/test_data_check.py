"""What the check of a segmentation data set decides and reports, on real files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.loading.sampler import Key
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from tests.helpers.tiny_images import disc, folders, noise, save

STAGE = Stage(name="test", size=32, batch_size=2, epochs=1, lr=0.1, augment=False)
TRANSPOSE = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def prepared(root: Path, cache: Path, **options: object) -> FolderDataModule:
    data = FolderDataModule(root=root, cache_dir=cache, num_workers=0, **options)  # type: ignore[arg-type]
    data.prepare([STAGE])
    return data


def refusal(root: Path, cache: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        prepared(root, cache, **options)
    return str(error.value)


def write_rotated(root: Path, number: int, orientation: int, *, upright: bool) -> None:
    """An image of a white disc that EXIF turns upright, and its mask: drawn upright, or on the stored image."""
    mask = Image.fromarray(disc(number) * np.uint8(255))
    stored = mask.transpose(TRANSPOSE[orientation]) if orientation != 1 else mask
    exif = Image.Exif()
    exif[0x0112] = orientation
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stored.convert("RGB").save(root / f"images/p{number}.png", exif=exif)
    (mask if upright else stored).save(root / f"masks/p{number}.png")


def worst_overlap(data: FolderDataModule) -> float:
    """The smallest Dice of an image's white disc with its mask."""
    scores = []
    for dataset in (data.train_set(STAGE), data.val_set(STAGE)):
        for index in range(len(dataset)):  # type: ignore[arg-type]
            sample = dataset[Key(0, index)]
            bright, mask = sample["image"].mean(0) > 0.5, sample["mask"] > 0.5
            scores.append(float(2 * (bright & mask).sum() / (bright.sum() + mask.sum())))
    return min(scores)


@pytest.mark.parametrize("upright", [True, False])
def test_masks_whose_size_does_not_tell_follow_those_whose_size_does(
    upright: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, orientation in enumerate([1, 6, 8, 3, 6, 3]):
        write_rotated(tmp_path / "d", number, orientation, upright=upright)
    data = prepared(tmp_path / "d", tmp_path / "c")
    assert worst_overlap(data) > 0.9
    summary = capsys.readouterr().out
    if upright:
        assert "2 masks were drawn upright, such as that of images/p3.png: not turned" in summary
        assert "(3 upright, 0 as stored)" in summary
    else:
        assert "the masks of 5 images were turned with them (orientation 3: 2, 6: 2, 8: 1)" in summary
        assert "(0 upright, 3 as stored)" in summary


def test_half_turns_alone_are_turned_and_reported_every_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, orientation in enumerate([1, 3, 3, 1]):
        write_rotated(tmp_path / "d", number, orientation, upright=False)
    for _ in range(2):  # the second time from the stored result
        assert worst_overlap(prepared(tmp_path / "d", tmp_path / "c")) > 0.9
        assert "the masks of 2 images were turned with them (orientation 3: 2)" in capsys.readouterr().out


def test_an_ignored_object_is_refused_with_the_way_out(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", value=255)
    message = refusal(root, tmp_path / "c", classes=["background", "blob"], ignore=255)
    assert "no mask holds 'blob': the masks hold the values 0, 255, of which 255 is ignored" in message
    assert "--data.classes [blob]" in message
    assert prepared(root, tmp_path / "c", classes=["blob"]).class_names == ("blob",)


def test_a_threshold_above_all_values_is_refused(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", value=1)
    message = refusal(root, tmp_path / "c", mask_threshold=128)
    assert "no mask holds 'foreground': the largest value is 1, below mask_threshold 128" in message
    prepared(root, tmp_path / "c")


def test_a_class_in_no_mask_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared(folders(tmp_path / "d", value=1), tmp_path / "c", classes=["sky", "road", "car"])
    assert "CLASSES IN NO MASK: car; their scores mean nothing" in capsys.readouterr().out


def write_masks(root: Path, masks: list[NDArray[np.generic]]) -> Path:
    for number, mask in enumerate(masks):
        save(root / f"images/p{number}.png", noise(number))
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / f"masks/p{number}.png")
    return root


def test_16_bit_masks_of_0_and_65535(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_masks(tmp_path / "d", [disc(number).astype(np.uint16) * np.uint16(65535) for number in range(4)])
    share = np.mean([disc(number) for number in range(4)])
    prepared(root, tmp_path / "c")
    assert f"65535 = foreground {share:.1%}" in capsys.readouterr().out


def test_the_threshold_that_is_advised_works(tmp_path: Path) -> None:
    soft = [np.minimum(disc(number).astype(np.uint16) * np.uint16(65535), 65000 - number) for number in range(4)]
    root = write_masks(tmp_path / "d", [mask.astype(np.uint16) for mask in soft])
    message = refusal(root, tmp_path / "c")
    assert "set mask_threshold (for example 32500)" in message
    data = prepared(root, tmp_path / "c", mask_threshold=32500)
    mask = data.test_set(STAGE)[Key(0, 0)]["mask"]
    assert int(mask.sum()) in [int(disc(number).sum()) for number in range(4)]


@pytest.mark.parametrize(("value", "options"), [(255, {}), (128, {"mask_threshold": 128})])
def test_two_names_for_masks_of_one_class_get_the_one_name(value: int, options: dict[str, int], tmp_path: Path) -> None:
    root = folders(tmp_path / "d", value=value)
    message = refusal(root, tmp_path / "c", classes=["background", "blob"])
    flags = "".join(f" --data.{name} {number}" for name, number in options.items())
    assert f"If {value} is 'blob', give that one class: --data.classes [blob]{flags}." in message
    prepared(root, tmp_path / "c", classes=["blob"], **options)


def test_few_values_are_taken_for_classes(tmp_path: Path) -> None:
    masks = [disc(number) * np.uint8(3) for number in range(4)]
    message = refusal(write_masks(tmp_path / "d", masks), tmp_path / "c")
    assert "name them all with --data.classes (values up to 3 were found)" in message


def test_a_mask_of_several_pages_is_refused_by_name(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=4)
    pages = [Image.fromarray(disc(number) * np.uint8(255)) for number in (0, 1)]
    (root / "masks/p2.png").unlink()
    pages[0].save(root / "masks/p2.tif", save_all=True, append_images=pages[1:])
    assert "masks/p2.tif: mask of several pages (2 pages or frames" in refusal(root, tmp_path / "c")


def test_pages_after_the_first_of_an_image_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folders(tmp_path / "d", count=4)
    (root / "images/p1.png").unlink()
    Image.fromarray(noise(1)).save(root / "images/p1.tif", save_all=True, append_images=[Image.fromarray(noise(9))] * 2)
    prepared(root, tmp_path / "c")
    assert "ONLY THE FIRST PAGE is read of 1 images, such as images/p1.tif (3 pages" in capsys.readouterr().out


def test_files_with_other_suffixes_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folders(tmp_path / "d", count=4)
    for name in ("images/more.tga", "masks/more.psd", ".hidden.tga"):
        (root / name).write_bytes(b"x")
    prepared(root, tmp_path / "c")
    assert "left out, no images by their suffix: 2 (images/more.tga, masks/more.psd)" in capsys.readouterr().out


def test_the_same_files_below_another_root(tmp_path: Path) -> None:
    root = folders(tmp_path / "d", count=4)
    prepared(root, tmp_path / "c")
    (tmp_path / "other").mkdir()
    outside = {"image_dir": str(root / "images"), "mask_dir": str(root / "masks")}
    data = prepared(tmp_path / "other", tmp_path / "c", **outside)
    assert data.val_set(STAGE)[Key(0, 0)]["name"].startswith("../d/images/")


def test_12_bits_in_16_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folders(tmp_path / "d", count=4)
    for path in (root / "images").iterdir():
        gray = np.array(Image.open(path).convert("L")).astype(np.uint16) * np.uint16(16)
        gray[0, 0] = 4095
        Image.fromarray(gray).save(path)
    prepared(root, tmp_path / "c")
    summary = capsys.readouterr().out
    assert "the 4 16-bit images hold values up to 4095 of 65535 (12 bits)" in summary
    assert "at most 16 of 255" in summary
