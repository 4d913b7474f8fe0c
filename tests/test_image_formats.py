"""Formats of images and masks besides the usual ones, checksums, and files that cost more than their image."""

import struct
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.io.image_file import SUFFIXES, count_frames
from datamodules.segmentation.mask_io import read_mask_values
from tests.helpers.tiny_images import disc, noise


def encoded(pixels: np.ndarray, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "form", "tolerance"),
    [
        ("a.jfif", "JPEG", 5.0),
        ("a.avif", "AVIF", 3.0),
        ("a.jp2", "JPEG2000", 0.0),
        ("a.j2k", "JPEG2000", 0.0),
        ("a.ppm", "PPM", 0.0),
        ("a.pnm", "PPM", 0.0),
        ("a.j2c", "JPEG2000", 0.0),
        ("a.jpf", "JPEG2000", 0.0),
        ("a.apng", "PNG", 0.0),
        ("a.dib", "BMP", 0.0),
        ("a.mpo", "MPO", 5.0),
    ],
)
def test_formats_are_read(name: str, form: str, tolerance: float, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(noise(3), form))
    assert path.suffix in SUFFIXES
    assert image_size(path) == noise(3).shape[:2]
    assert np.abs(read_image(path).astype(int) - noise(3)).mean() <= tolerance


def test_heic_is_read_if_its_decoder_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(noise(3))).save(tmp_path / "a.heic", quality=90)
    assert np.abs(read_image(tmp_path / "a.heic").astype(int) - noise(3)).mean() < 4


def test_heic_without_its_decoder_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # an import then fails as if it were not installed
    with pytest.raises(DataError, match=r"a\.heic: is a HEIC image, .*: pip install pillow-heif"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"P5 4 1 3\n\0\1\2\3", [0, 1, 2, 3]),
        (b"P2 4 1 3\n0 1 2 3\n", [0, 1, 2, 3]),
        (b"P5 2 1 1\n\0\1", [0, 1]),
        (b"P5 3 1 255\n\0\7\xff", [0, 7, 255]),
        (b"P5 3 1 300\n\0\0\0\1\1\x2c", [0, 1, 300]),
        (b"P5 2 1 65535\n\0\7\xff\xff", [7, 65535]),
    ],
)
def test_ppm_masks_give_the_stored_numbers(content: bytes, values: list[int], tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(content)
    np.testing.assert_array_equal(read_mask_values(tmp_path / "a.pgm"), [values])


def test_16_bit_ppm_is_scaled_by_its_range(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n" + struct.pack(">3H", 0, 32768, 65535))
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm")[..., 0], [[0, 128, 255]])


def test_every_changed_byte_of_a_png_mask_is_noticed(tmp_path: Path) -> None:
    whole = encoded(disc(1), "PNG")
    path, refused = tmp_path / "a.png", 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            values = read_mask_values(path)
        except DataError as error:
            refused += "a.png: " in str(error)
        else:  # only the end mark, which holds nothing, may differ
            np.testing.assert_array_equal(values, disc(1))
            assert position >= len(whole) - 12
    assert refused > len(whole) - 12


def test_a_zeroed_part_of_a_png_mask_is_noticed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (300, 300), dtype=np.uint8)
    whole = encoded(pixels, "PNG")
    assert len(whole) > 4096
    for start in range(0, len(whole) - 512, 512):
        (tmp_path / "a.png").write_bytes(whole[:start] + bytes(512) + whole[start + 512 :])
        with pytest.raises(DataError, match=r"a\.png: "):
            read_mask_values(tmp_path / "a.png")


def tiled_tiff(side: int, tile: int, compression: int) -> bytes:
    entries = [(256, side), (257, side), (258, 8), (259, compression), (262, 1), (277, 1), (322, tile), (323, tile)]
    entries += [(324, 8), (325, 4)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in entries)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + directory + bytes(4)


@pytest.mark.parametrize("compression", [1, 5, 7, 8])
def test_a_small_tiff_with_a_huge_tile_is_refused_by_its_header(compression: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiled_tiff(64, 40960, compression))
    assert path.stat().st_size < 200
    with pytest.raises(DataError, match=r"a\.tif: .*tiles of 40960 x 40960 are larger than its image of 64 x 64"):
        read_image(path)


def test_tiles_that_are_somewhat_larger_than_the_image_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stored = zlib.compress(bytes(range(256)) * 256)
    content = bytearray(tiled_tiff(64, 256, 8))
    content[-8:-4] = struct.pack("<I", len(stored))
    position = content.index(struct.pack("<HHII", 324, 4, 1, 8))
    content[position : position + 12] = struct.pack("<HHII", 324, 4, 1, len(content))
    path.write_bytes(bytes(content) + stored)
    np.testing.assert_array_equal(read_image(path)[0, :, 0], np.arange(64))


def test_a_jpeg_of_2000_scans_is_refused_at_once_and_a_progressive_one_is_read(tmp_path: Path) -> None:
    content = encoded(np.tile(noise(1), (30, 30, 1)), "JPEG", progressive=True)
    (tmp_path / "good.jpg").write_bytes(content)
    assert content.count(b"\xff\xda") == 10
    assert read_image(tmp_path / "good.jpg").shape == (960, 1440, 3)
    last = content.rindex(b"\xff\xda")
    (tmp_path / "bad.jpg").write_bytes(content[:last] + content[last:-2] * 2000 + b"\xff\xd9")
    start = time.process_time()
    with pytest.raises(DataError, match=r"bad\.jpg: .*it has 2009 scans, more than 100"):
        read_image(tmp_path / "bad.jpg")
    assert time.process_time() - start < 1


def test_frames_are_counted_without_thumbnails(tmp_path: Path) -> None:
    pages = [Image.fromarray(noise(number)) for number in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    small = pages[0].resize((6, 4))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(tmp_path / "thumbnail.tif", save_all=True, append_images=[small])
    pages[0].save(tmp_path / "a.webp", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "a.jpg")
    counts = {path.name: count_frames(path) for path in tmp_path.iterdir()}
    assert counts == {"pages.tif": 3, "thumbnail.tif": 1, "a.webp": 3, "a.jpg": 1}
