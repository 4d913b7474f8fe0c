"""Mask formats: the values read from a file, and the class of each value."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.io.image import image_size, read_image
from datamodules.io.image_file import read_header
from datamodules.segmentation.check import check_pairs
from datamodules.segmentation.label_map import (
    ClassList,
    LabelMap,
    binary_label_map,
    class_label_map,
    threshold_label_map,
)
from datamodules.segmentation.mask_io import drawn_on, read_mask_values, read_stored_mask
from experiments.cli.main import main

COLORS = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # the palette of Pascal VOC


def save(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def save_palette(path: Path, indices: list[int], palette: list[int], **options: object) -> Path:
    image = Image.new("P", (len(indices), 1))
    image.putpalette(palette)
    image.putdata(indices)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.tif", "a.bmp"])
def test_palette_masks_give_indices(name: str, tmp_path: Path) -> None:
    path = save_palette(tmp_path / name, [3, 0, 1, 2], COLORS)
    np.testing.assert_array_equal(read_mask_values(path), [[3, 0, 1, 2]])


def test_palette_with_a_transparent_index_gives_indices(tmp_path: Path) -> None:
    path = save_palette(tmp_path / "a.png", [3, 0, 1, 2], COLORS, transparency=0)
    np.testing.assert_array_equal(read_mask_values(path), [[3, 0, 1, 2]])


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
@pytest.mark.parametrize(
    ("palette", "expected"),
    [
        ([0, 0, 0, 255, 255, 255], [0, 255, 255, 0]),  # Carvana
        ([255, 255, 255, 0, 0, 0], [255, 0, 0, 255]),  # the same image of another writer
        ([3, 3, 3, 7, 7, 7], [3, 7, 7, 3]),
    ],
)
def test_gray_palettes_give_gray_values(name: str, palette: list[int], expected: list[int], tmp_path: Path) -> None:
    path = save_palette(tmp_path / name, [0, 1, 1, 0], palette)
    np.testing.assert_array_equal(read_mask_values(path), [expected])


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_1_bit_gives_0_and_1(name: str, tmp_path: Path) -> None:
    read = read_mask_values(save(tmp_path / name, np.array([[True, False, True]])))
    np.testing.assert_array_equal(read, [[1, 0, 1]])
    assert read.dtype == np.uint8


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.gif"])
@pytest.mark.parametrize("values", [[0, 1, 1], [0, 255, 0], [0, 10, 11]])
def test_gray_gives_its_values(name: str, values: list[int], tmp_path: Path) -> None:
    read = read_mask_values(save(tmp_path / name, np.array([values], np.uint8)))
    np.testing.assert_array_equal(read, [values])


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_class_numbers(name: str, tmp_path: Path) -> None:
    read = read_mask_values(save(tmp_path / name, np.array([[0, 7, 300, 65535]], np.uint16)))
    np.testing.assert_array_equal(read, [[0, 7, 300, 65535]])
    assert read.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_integers_of_32_bits(dtype: type, tmp_path: Path) -> None:
    read = read_mask_values(save(tmp_path / "a.tif", np.array([[0, 7, 300]], dtype)))
    np.testing.assert_array_equal(read, [[0, 7, 300]])


@pytest.mark.parametrize("wrong", [0.5, -1, 65536, np.nan])
def test_fractions_and_numbers_out_of_range_are_refused(wrong: float, tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0, wrong]], np.float32))
    with pytest.raises(DataError, match=r"a\.tif: holds numbers that are not whole or lie outside"):
        read_mask_values(path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_equal_channels_are_one_gray_and_colors_are_refused(name: str, tmp_path: Path) -> None:
    pixels = np.array([[[0, 0, 0], [255, 255, 255], [9, 9, 9]]], np.uint8)
    np.testing.assert_array_equal(read_mask_values(save(tmp_path / name, pixels)), [[0, 255, 9]])
    pixels[0, 1] = 255, 0, 0
    with pytest.raises(DataError, match=r"a mask in color \(for example \(255, 0, 0\) at row 0, column 1\)"):
        read_mask_values(save(tmp_path / name, pixels))


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def alpha_mask(path: Path, colors: list[int], alphas: list[int], mode: str) -> Path:
    gray, alpha = (Image.new("L", (len(colors), 1)) for _ in range(2))
    gray.putdata(colors)
    alpha.putdata(alphas)
    Image.merge(mode, [*[gray] * (len(mode) - 1), alpha]).save(path)
    return path


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    np.testing.assert_array_equal(read_mask_values(alpha_mask(path, [0, 255], [255, 255], mode)), [[0, 255]])
    # What lies under a transparent pixel does not count: a white shape cut out by its alpha.
    np.testing.assert_array_equal(read_mask_values(alpha_mask(path, [255, 255], [0, 255], mode)), [[0, 255]])
    with pytest.raises(DataError, match=r"a\.png: is a half transparent mask; flatten it"):
        read_mask_values(alpha_mask(path, [0, 255], [255, 128], mode))
    with pytest.raises(DataError, match=r"a\.png: the shape of this mask is only in its transparency"):
        read_mask_values(alpha_mask(path, [0, 0], [0, 255], mode))


def test_cmyk_mask_is_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (2, 2)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: is a mask in the color space CMYK"):
        read_mask_values(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("side", "orientation"), [(side, number) for side in ("stored", "displayed") for number in range(1, 9)]
)
def test_exif_rotation_of_the_image_applies_to_the_mask(side: str, orientation: int, tmp_path: Path) -> None:
    """Rotation is applied to both or to neither."""
    stored = np.zeros((16, 24), np.uint8)
    stored[2:5, 4:20] = 255
    exif = exif_of(orientation)
    image_path = save(tmp_path / "a.png", np.repeat(stored[..., None], 3, axis=2), exif=exif)
    shown = read_image(image_path)[..., 0]
    mask_path = save(tmp_path / "mask.png", stored if side == "stored" else shown)
    save(tmp_path / "other.png", np.zeros((4, 6, 3), np.uint8), exif=exif_of(6))  # decides where sizes do not tell
    other = save(tmp_path / "other_mask.png", np.full((4, 6) if side == "stored" else (6, 4), 255, np.uint8))
    pairs = [Pair("a", "a.png", image_path, mask_path), Pair("other", "other.png", tmp_path / "other.png", other)]
    result = check_pairs(tmp_path, pairs, ONE_CLASS, workers=0)
    turn = result.orientations.get("a.png", 1)
    assert turn == (orientation if side == "stored" else 1)
    np.testing.assert_array_equal(read_mask_values(mask_path, orientation=turn), shown)


def test_mask_with_own_exif_is_rotated_once(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 24), np.uint8)
    pixels[0, 0] = 255
    image_path = save(tmp_path / "a.png", pixels, exif=exif)
    mask_path = save(tmp_path / "mask.tif", pixels, exif=exif)
    assert drawn_on(read_header(image_path), read_header(mask_path)) == "same"
    assert image_size(mask_path) == (24, 16)
    np.testing.assert_array_equal(read_mask_values(mask_path), read_image(image_path)[..., 0])


# Values and classes


def test_values_are_mapped_by_the_table() -> None:
    table = LabelMap({0: 0, 7: 1, 300: 2, 65535: 255})
    mapped = table.apply(np.array([[0, 7], [300, 65535]], np.uint16), Path("a.png"))
    np.testing.assert_array_equal(mapped, [[0, 1], [2, 255]])
    assert mapped.dtype == np.uint8
    np.testing.assert_array_equal(table.apply(np.array([[7, 0]], np.uint8), Path("a.png")), [[1, 0]])


def test_values_without_a_class_are_named_with_their_file() -> None:
    table = class_label_map(3, ignore=11)
    np.testing.assert_array_equal(table.apply(np.array([[0, 1, 2, 11]], np.uint8), Path("a.png")), [[0, 1, 2, 255]])
    with pytest.raises(DataError, match=r"a\.png: the mask values 3, 255 stand for no class \(known: 0, 1, 2, 11\)"):
        table.apply(np.array([[0, 255, 3]], np.uint8), Path("a.png"))


def test_invalid_class_lists_are_refused() -> None:
    with pytest.raises(DataError, match="ignore value 2 is also one of the class numbers 0 to 2"):
        class_label_map(3, ignore=2)
    with pytest.raises(DataError, match="256 classes: there can be 1 to 255"):
        class_label_map(256, ignore=None)
    assert class_label_map(2, ignore=255).classes == {0: 0, 1: 1, 255: 255}


def found(*values: int) -> dict[int, Path]:
    return {value: Path(f"mask{value}.png") for value in values}


def test_binary_masks_are_0_and_1_or_0_and_255() -> None:
    assert binary_label_map(found(0, 1)).classes == {0: 0, 1: 1}
    assert binary_label_map(found(0, 255)).classes == {0: 0, 255: 1}
    assert binary_label_map(found(255)).classes == {0: 0, 255: 1}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0,), "every mask is empty"),
        ((0, 1, 255), r"some masks hold 1 and some 255 \(1 in mask1.png; 255 in mask255.png\)"),
        ((0, 3, 128, 255), r"these hold 0, 3, 128, 255 \(3 in mask3.png; .*set mask_threshold .*give a class list"),
        (tuple(range(256)), r"0, 1, 2, .* 11, \.\.\. \(256 in all\)"),
    ],
)
def test_other_values_are_no_binary_mask(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        binary_label_map(found(*values))


def test_threshold_takes_soft_edges() -> None:
    values = np.array([[0, 127, 128, 255]], np.uint8)
    np.testing.assert_array_equal(threshold_label_map(128).apply(values, Path("a.png")), [[0, 0, 1, 1]])
    with pytest.raises(DataError, match=r"mask_threshold must lie between 1 and 255 .*, not 0"):
        threshold_label_map(0)


def save_pairs(root: Path, masks: int) -> list[Pair]:
    """Gray images of 3 x 1 pixels for that many masks ``masks/00.png``, which the caller writes."""
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    keys = [f"{number:02}" for number in range(masks)]
    return [
        Pair(key, f"images/{key}.png", save(root / f"images/{key}.png", np.zeros((1, 3), np.uint8)), mask)
        for key, mask in ((key, root / f"masks/{key}.png") for key in keys)
    ]


ONE_CLASS = ClassList(names=("object",))


@pytest.mark.parametrize("workers", [0, 2])
def test_check_counts_pixels_by_value(workers: int, tmp_path: Path) -> None:
    pairs = save_pairs(tmp_path, 10)
    for number, pair in enumerate(pairs):
        save(pair.mask, np.array([[0, 0, number % 2]], np.uint8))
    assert check_pairs(tmp_path, pairs, ONE_CLASS, workers=workers).values == {0: 25, 1: 5}


@pytest.mark.parametrize("workers", [0, 2])
def test_check_names_every_bad_mask_up_to_twenty(workers: int, tmp_path: Path) -> None:
    pairs = save_pairs(tmp_path, 30)
    for pair in pairs[:25]:
        pair.mask.write_bytes(b"")
    for pair in pairs[25:]:
        save(pair.mask, np.array([[0, 0, 1]], np.uint8))
    with pytest.raises(DataError, match="25 x file that cannot be read") as caught:
        check_pairs(tmp_path, pairs, ONE_CLASS, workers=workers)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:21]] == [f"masks/{number:02}.png" for number in range(20)]
    assert lines[21].strip() == "... and 5 more"


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_prepare_refuses_inconsistent_palettes(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file numbers only the colors that it holds: index 1 is green in one mask and blue in another."""
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    red_green_blue = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    for number, classes in enumerate(([0, 1, 2], [0, 1, 1], [0, 2, 2])):
        save(tmp_path / f"data/images/p{number}.png", np.zeros((1, 3), np.uint8))
        colors = Image.fromarray(red_green_blue[[classes]])
        colors.quantize(len(set(classes))).save(tmp_path / f"data/masks/p{number}{suffix}")
    first, *others = [read_stored_mask(tmp_path / f"data/masks/p{number}{suffix}").palette[:2] for number in range(3)]
    assert others != [first, first]
    words = ["--data.classes", "[red, green, blue]", "--data.num_workers", "0", "--data.cache_dir", str(tmp_path / "c")]
    folder = ["--data", "datamodules.FolderDataModule", "--data.root", "data"]
    assert main(["--task", "segment", "prepare", *folder, *words]) == 2
    message = capsys.readouterr().err
    assert "palette that numbers its colors differently" in message
    assert re.search(rf"index \d is the color \(.*\) in masks/p\d\{suffix} but \(.*\) here", message)


def test_opposite_palettes_are_refused_and_one_palette_is_not(tmp_path: Path) -> None:
    pairs = save_pairs(tmp_path, 2)
    red_first, blue_first = [255, 0, 0, 0, 0, 255], [0, 0, 255, 255, 0, 0]
    save_palette(pairs[0].mask, [0, 1, 1], red_first)
    save_palette(pairs[1].mask, [0, 1, 1], red_first)
    assert check_pairs(tmp_path, pairs, ONE_CLASS, workers=0).values == {0: 2, 1: 4}
    save_palette(pairs[1].mask, [1, 0, 0], blue_first)  # the same image
    with pytest.raises(DataError, match=r"masks/01.png: palette that numbers its colors differently \(index 0 is the"):
        check_pairs(tmp_path, pairs, ONE_CLASS, workers=0)
