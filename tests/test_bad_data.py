"""Bad data raises one error before the first step that names the files and a remedy."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.loading.sampler import Key
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from tests.helpers.tiny_images import HEIGHT, WIDTH, carvana, disc, folders, noise, save

STAGE = Stage(name="test", size=16, batch_size=2, epochs=1, lr=0.1)


def complaint(root: Path, cache: Path) -> str:
    data = FolderDataModule(root=root, cache_dir=cache, num_workers=0)
    with pytest.raises(DataError) as error:
        data.prepare([STAGE])
    assert not list((cache / "checks").glob("*")) if (cache / "checks").exists() else True
    return str(error.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folders(tmp_path / "d", count=4)


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is not a folder: name an existing one with --data\.root FOLDER"):
        CarvanaDataModule(root=tmp_path / "nowhere").setup("fit")
    with pytest.raises(DataError, match=r"no data: name the folder of your images with --data\.root FOLDER"):
        FolderDataModule().setup("fit")


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert "has no layout that is known (its folders: none)" in complaint(tmp_path / "d", tmp_path)
    for name in ("images", "masks"):
        (tmp_path / "d" / name).mkdir()
    assert "holds no images" in complaint(tmp_path / "d", tmp_path)


def test_folder_names_found_are_listed(tmp_path: Path) -> None:
    folders(tmp_path / "d", images="pics", masks="labels")
    message = complaint(tmp_path / "d", tmp_path)
    assert "(its folders: labels, pics). Known layouts:" in message
    assert "name the folders with --data.image_dir and --data.mask_dir" in message


def test_image_without_mask_and_mask_without_image(root: Path, tmp_path: Path) -> None:
    (root / "masks" / "p0.png").unlink()
    (root / "images" / "p2.png").unlink()
    (root / "images" / "p3.png").unlink()
    message = complaint(root, tmp_path)
    assert "3 problem(s): 1 x image without a mask, 2 x mask without an image" in message
    for name in ("images/p0.png: image", "masks/p2.png: mask", "masks/p3.png: mask"):
        assert f"  {name} without a" in message
    assert message.endswith("Correct or remove these files, then run again; nothing was trained.")


def test_mask_of_another_size(root: Path, tmp_path: Path) -> None:
    save(root / "masks" / "p1.png", disc(1, HEIGHT, WIDTH + 1))
    assert "masks/p1.png: mask of another size (49 x 32, the image is 48 x 32)" in complaint(root, tmp_path)


def test_mask_values_outside_the_class_list(root: Path, tmp_path: Path) -> None:
    save(root / "masks" / "p1.png", disc(1) * np.uint8(7))
    assert "masks/p1.png: mask values outside the class list (found 0, 7; known 0, 1)" in complaint(root, tmp_path)


def test_masks_with_mixed_value_ranges(root: Path, tmp_path: Path) -> None:
    save(root / "masks" / "p3.png", disc(3) * np.uint8(255))
    assert "masks/p3.png: mask values outside the class list (found 0, 255; known 0, 1)" in complaint(root, tmp_path)


def test_masks_that_are_all_empty(tmp_path: Path) -> None:
    assert "every mask is empty" in complaint(folders(tmp_path / "d", value=0), tmp_path)


def test_empty_truncated_and_invalid_files(tmp_path: Path) -> None:
    root = carvana(tmp_path / "cars", cars=4, views=1)
    images = root / "train"
    (images / "car0_01.jpg").write_bytes(b"")
    whole = (images / "car1_01.jpg").read_bytes()
    (images / "car1_01.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (images / "car2_01.jpg").write_text("<html>404 Not Found</html>")
    (root / "train_masks" / "car3_01_mask.gif").write_bytes(b"")
    with pytest.raises(DataError) as error:
        CarvanaDataModule(root=root, cache_dir=tmp_path / "cache", num_workers=0).setup("fit")
    lines = str(error.value).splitlines()
    assert lines[0].endswith("4 problem(s): 4 x file that cannot be read")
    assert lines[1].startswith("  train/car0_01.jpg: file that cannot be read (is empty (0 bytes)")
    assert lines[2].startswith("  train/car1_01.jpg: file that cannot be read (is damaged or cut short")
    assert lines[3].startswith("  train/car2_01.jpg: file that cannot be read (is not an image")
    assert lines[4].startswith("  train_masks/car3_01_mask.gif: file that cannot be read (is empty (0 bytes)")


def test_image_over_the_bomb_limit(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(root / "images" / "p0.png", noise(0, 64, 64))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 // 2 - 1)  # Pillow refuses twice as many
    assert "images/p0.png: file that cannot be read (has more pixels than the limit" in complaint(root, tmp_path)


def test_two_images_of_one_name(root: Path, tmp_path: Path) -> None:
    save(root / "images" / "p0.bmp", noise(0))
    assert "images/p0.bmp: two files of one name (also p0.png)" in complaint(root, tmp_path)


def test_all_problems_are_reported_together(root: Path, tmp_path: Path) -> None:
    (root / "masks" / "p0.png").unlink()
    (root / "images" / "p1.png").write_bytes(b"")
    save(root / "masks" / "p2.png", disc(2, 24, 24))
    save(root / "masks" / "p3.png", disc(3) * np.uint8(9))
    message = complaint(root, tmp_path)
    assert "4 problem(s)" in message
    assert all(f"p{number}.png" in message for number in range(4))


def test_carvana_row_outside_the_root(root: Path, tmp_path: Path) -> None:
    (root / "split.csv").write_text("name,split\n../p0.png,train\np0,train\np1,train\np2,val\np3,val\n")
    data = FolderDataModule(root=root, split_file="split.csv", cache_dir=tmp_path, num_workers=0)
    with pytest.raises(DataError, match=r"split.csv line 2: row that points outside the root \(\.\./p0\.png\)"):
        data.setup("fit")


def test_batch_larger_than_the_data_set(root: Path, tmp_path: Path) -> None:
    data = FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0)
    data.set_stage(Stage(name="test", size=16, batch_size=4, epochs=1, lr=0.1))
    with pytest.raises(DataError, match="batch_size 4 is larger than the training set of 3 images"):
        data.train_dataloader()


def test_all_supported_formats_are_read(root: Path, tmp_path: Path) -> None:
    """CMYK, gray, 16-bit images and alpha are accepted."""
    image = Image.fromarray(noise(0))
    (root / "images" / "p0.png").unlink()
    image.convert("CMYK").save(root / "images" / "p0.jpg")
    image.convert("L").save(root / "images" / "p1.png")
    Image.fromarray(noise(2)[..., 0].astype(np.uint16) * 257).save(root / "images" / "p2.png")
    image.convert("RGBA").save(root / "images" / "p3.png")
    data = FolderDataModule(root=root, cache_dir=tmp_path, num_workers=0)
    data.prepare([STAGE])
    for chosen in (data.train_set(STAGE), data.val_set(STAGE)):
        for index in range(len(chosen)):  # type: ignore[arg-type]
            image = chosen[Key(0, index)]["image"]  # type: ignore[index]
            assert 0.1 < float(image.mean()) < 0.9
