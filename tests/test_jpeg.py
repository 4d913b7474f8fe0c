"""The fast JPEG decoder gives Pillow's pixels, and Pillow's errors."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.io import jpeg
from datamodules.io.image import read_image
from datamodules.io.image_file import open_image

SIDES = 96, 64  # width and height
LARGEST = {1: 64, 2: 25, 4: 10, 8: 4}  # size for which an image is decoded at 1 / divisor


def drawing() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(SIDES, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


PLAIN = {
    "4:4:4": encoded(drawing(), subsampling=0),
    "4:2:2": encoded(drawing(), subsampling=1),
    "4:2:0": encoded(drawing(), subsampling=2),
    "progressive": encoded(drawing(), progressive=True),
    "restart markers": encoded(drawing(), restart_marker_blocks=4),
    "gray": encoded(drawing().convert("L")),
    "EXIF": encoded(drawing(), exif=rotated()),
}


def by_pillow(path: Path, divisor: int = 1) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        orientation = image.getexif().get(0x0112, 1)
        image.draft(None, (image.width // divisor, image.height // divisor))
        pixels = np.asarray(image.convert("RGB"))
    return np.rot90(pixels, -1) if orientation == 6 else pixels


def is_fast(path: Path) -> bool:
    with open_image(path) as image:
        return jpeg.decode_jpeg(image, image.size) is not None


@pytest.mark.parametrize("divisor", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", PLAIN)
def test_pixels_are_those_of_pillow(kind: str, divisor: int, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(PLAIN[kind])
    np.testing.assert_array_equal(read_image(path, for_size=LARGEST[divisor]), by_pillow(path, divisor))
    assert is_fast(path)


def test_other_kinds_are_left_to_pillow(tmp_path: Path) -> None:
    for name, content in {
        "cmyk.jpg": encoded(drawing().convert("CMYK")),
        "cut.jpg": PLAIN["4:2:0"][:-40],
    }.items():
        (tmp_path / name).write_bytes(content)
        assert not is_fast(tmp_path / name)
    drawing().save(tmp_path / "image.png")
    assert not is_fast(tmp_path / "image.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), np.asarray(drawing()))
    np.testing.assert_array_equal(read_image(tmp_path / "cmyk.jpg"), by_pillow(tmp_path / "cmyk.jpg"))


def test_without_the_package_pillow_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(PLAIN["EXIF"])
    fast = read_image(path)
    monkeypatch.setattr(jpeg, "_INSTALLED", False)
    assert not is_fast(path)
    np.testing.assert_array_equal(read_image(path), fast)


@pytest.mark.parametrize("kind", ["4:2:0", "progressive", "gray"])
def test_a_file_cut_anywhere_is_an_error(kind: str, tmp_path: Path) -> None:
    whole = PLAIN[kind]
    for length in (*range(2, len(whole) - 2, len(whole) // 40), len(whole) - 3):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.jpg: "):
            read_image(path)


def outcome(path: Path) -> bytes | str:
    try:
        return read_image(path).tobytes()
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("kind", PLAIN)
def test_damaged_files_end_as_with_pillow(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pixels or the same error, for flipped bits and bytes that are missing."""
    generator = np.random.default_rng(0)
    errors = 0
    for number in range(60):
        content = bytearray(PLAIN[kind])
        place = int(generator.integers(2, len(content)))
        if number % 2:
            content[place] ^= 1 << int(generator.integers(8))
        else:
            del content[place : place + int(generator.integers(1, 20))]
        path = tmp_path / "damaged.jpg"
        path.write_bytes(content)
        fast = outcome(path)
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "_INSTALLED", False)
            assert outcome(path) == fast
        errors += isinstance(fast, str)
    assert 0 < errors < 60  # else it tests nothing
