"""Images of all formats are read as a viewer shows them, and bad files are refused by name."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.io.image_file import apply_orientation, read_header

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def save(path: Path, pixels: NDArray[np.generic], **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def corners() -> NDArray[np.uint8]:
    """4 rows, 6 columns; every corner block has a different color."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:2, :3], pixels[:2, 3:], pixels[2:, :3], pixels[2:, 3:] = RED, GREEN, BLUE, WHITE
    return pixels


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_rgb_of_lossless_formats_is_exact(name: str, corners: NDArray[np.uint8], tmp_path: Path) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    read = read_image(save(tmp_path / name, corners, **options))
    np.testing.assert_array_equal(read, corners)
    assert read.dtype == np.uint8
    assert read.flags.writeable
    assert read.flags.c_contiguous


@pytest.mark.parametrize("name", ["with space.png", "a.b.c.png", "Żółw 車.png", "upper.PNG", "wrong_suffix.jpg"])
def test_suffix_does_not_matter(name: str, corners: NDArray[np.uint8], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(save(tmp_path / name, corners, format="PNG")), corners)


def test_gray_1_bit_and_palette(tmp_path: Path) -> None:
    gray = np.array([[0, 100, 255]], np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "g.png", gray))[0], [[0] * 3, [100] * 3, [255] * 3])
    bits = np.array([[True, False]])
    np.testing.assert_array_equal(read_image(save(tmp_path / "b.png", bits))[0], [WHITE, BLACK])
    palette = Image.new("P", (3, 1))
    palette.putpalette([*RED, *GREEN, *BLUE])
    palette.putdata([2, 0, 1])
    for name in ("p.png", "p.gif"):
        palette.save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[0], [BLUE, RED, GREEN])


def test_cmyk_tiff_and_adobe_jpeg(tmp_path: Path) -> None:
    ink = Image.merge(
        "CMYK", [Image.new("L", (16, 16), value) for value in (0, 255, 255, 0)]
    )  # magenta and yellow: red
    ink.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0, 0], RED)
    ink.save(tmp_path / "a.jpg")  # Pillow, as Imageshop, writes the Adobe marker and inverted ink
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg")[8, 8], RED, atol=3)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_gray_is_scaled_and_not_clipped(name: str, tmp_path: Path) -> None:
    values = np.array([[0, 257, 32768, 65535]], np.uint16)  # 257 = 65535 / 255
    read = read_image(save(tmp_path / name, values))
    np.testing.assert_array_equal(read[0, :, 0], [0, 1, 128, 255])
    np.testing.assert_array_equal(read[..., 0], read[..., 2])


def test_big_endian_16_bit_tiff(tmp_path: Path) -> None:
    Image.frombytes("I;16B", (2, 1), bytes([1, 1, 255, 255])).save(tmp_path / "a.tif")  # 257 and 65535
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0, :, 0], [1, 255])


def tiff(path: Path, *, bits: int, photometric: int, data: bytes, width: int) -> Path:
    """A TIFF of one row and one channel, written by hand."""
    entries = [(256, 3, width), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8)]
    entries += [(277, 3, 1), (278, 3, 1), (279, 4, len(data))]
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1) + struct.pack(
            "<HH" if kind == 3 else "<I", *((value, 0) if kind == 3 else (value,))
        )
    padded = data + bytes(len(data) % 2)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(padded)) + padded + directory + bytes(4))
    return path


def test_12_bit_tiff_is_scaled_by_its_own_range(tmp_path: Path) -> None:
    # Two pixels of 12 bits in three bytes: 0xfff (white) and 0x800 (half).
    path = tiff(tmp_path / "a.tif", bits=12, photometric=1, data=bytes([0xFF, 0xF8, 0x00]), width=2)
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [255, 128])


@pytest.mark.parametrize(("bits", "data"), [(8, bytes([0, 255])), (16, bytes([0, 0, 255, 255]))])
def test_tiff_that_stores_white_as_zero(bits: int, data: bytes, tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", bits=bits, photometric=0, data=data, width=2)
    np.testing.assert_array_equal(read_image(path)[0, :, 0], [255, 0])


def test_16_bit_rgb_png_is_read_at_8_bits(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">6H", 65535, 0, 32768, 0, 257, 65535)
    head = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0], [(255, 0, 128), (0, 1, 255)])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_on_white(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    if mode == "P":
        image = image.quantize(4)
    else:
        image.putpixel((2, 0), (0, 0, 0, 51))  # a fifth of black on white: 204
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    expected = [0, 255, 0 if mode == "P" else 204]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], expected)


def test_gray_png_with_a_transparent_value(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[7, 8]], np.uint8), transparency=7)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [255, 8])


def test_float_tiff_in_0_to_1_is_scaled_and_others_are_refused(tmp_path: Path) -> None:
    good = save(tmp_path / "good.tif", np.array([[0, 0.5, 1]], np.float32))
    np.testing.assert_array_equal(read_image(good)[0, :, 0], [0, 128, 255])
    for name, values in (("high", [0, 254.5]), ("low", [-0.5, 1]), ("nan", [0, np.nan])):
        path = save(tmp_path / f"{name}.tif", np.array([values], np.float32))
        with pytest.raises(DataError, match=rf"{name}\.tif: holds float values from .* only 0 to 1"):
            read_image(path)


def test_32_bit_integers_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.array([[0, 70000]], np.int32))
    with pytest.raises(DataError, match=r"a\.tif: the pixel type I .* save it as 8-bit"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.webp"])
def test_first_frame_of_an_animation(name: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE)]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_image(tmp_path / name)[4, 4], RED)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_exif_rotation_is_applied(name: str, orientation: int, corners: NDArray[np.uint8], tmp_path: Path) -> None:
    big = corners.repeat(16, axis=0).repeat(16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"a.webp": {"lossless": True}, "a.jpg": {"quality": 95, "subsampling": 0}}.get(name, {})
    save(tmp_path / name, big, exif=exif, **options)
    with Image.open(tmp_path / name) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    read = read_image(tmp_path / name)
    assert read.shape == ((64, 96, 3) if orientation < 5 else (96, 64, 3))
    np.testing.assert_array_equal(read, expected)
    assert image_size(tmp_path / name) == read.shape[:2]
    header = read_header(tmp_path / name)
    assert (header.height, header.width, header.orientation) == (64, 96, orientation)


def test_quarter_turn_by_hand() -> None:
    np.testing.assert_array_equal(
        apply_orientation(np.array([[1, 2, 3], [4, 5, 6]]), 6), [[4, 1], [5, 2], [6, 3]]
    )  # clockwise


def test_invalid_exif_orientation_is_ignored(corners: NDArray[np.uint8], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 0
    np.testing.assert_array_equal(read_image(save(tmp_path / "a.png", corners, exif=exif)), corners)


def test_jpeg_is_decoded_at_the_smallest_sufficient_fraction(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (320, 1, 3))
    path = save(tmp_path / "a.jpg", ramp, quality=95)
    # by hand: 1/2 is 160 px, at least 1.25 times as much; 1/4 is 80 px, 1.5 times; 1/8 is 40 px, twice as much
    shapes = {at: read_image(path, for_size=at).shape[:2] for at in (320, 129, 128, 54, 53, 21, 20, 10)}
    assert shapes == {
        320: (320, 640), 129: (320, 640), 128: (160, 320), 54: (160, 320), 53: (80, 160),
        21: (80, 160), 20: (40, 80), 10: (40, 80),
    }  # fmt: skip
    blocks = ramp.reshape(40, 8, 80, 8, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(read_image(path, for_size=20), blocks, atol=2)
    assert image_size(path) == (320, 640)


def test_jpeg_with_indivisible_sides_keeps_its_aspect_ratio(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.zeros((320, 638, 3), np.uint8))  # 638 / 4 is no whole number
    assert read_image(path, for_size=40).shape == (160, 319, 3)


def jpeg(path: Path) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return save(path, noise).read_bytes()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def folder(path: Path) -> None:
    path.mkdir()


def text(path: Path) -> None:
    path.write_text("<html>404 Not Found</html>")


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")


def cut(path: Path) -> None:
    content = jpeg(path)
    path.write_bytes(content[: len(content) // 2])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(jpeg(path)[:30])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "is empty"),
        (missing, "cannot be read: No such file"),
        (folder, "is not a file"),
        (text, "is not an image"),
        (postscript, "is not an image"),
        (cut, "is damaged or cut short"),
        (cut_in_the_header, "is damaged or cut short"),
    ],
)
def test_bad_files_are_refused_by_name(spoil: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad ü.jpg"
    spoil(path)
    with pytest.raises(DataError, match=f"bad ü.jpg: {message}"):
        read_image(path)
    if spoil is not cut:  # its header is whole
        with pytest.raises(DataError, match=f"bad ü.jpg: {message}"):
            image_size(path)


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "bmp", "webp", "jpg"])
def test_truncation_is_detected_in_every_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    content = jpeg(path)
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=rf"a\.{suffix}: is "):
        read_image(path)


def test_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    assert path.stat().st_size < 60_000
    for read in (read_image, image_size):
        with pytest.raises(DataError, match=r"bomb\.png: has more pixels than the limit of 179 million"):
            read(path)


def test_invalid_metadata_does_not_warn(corners: NDArray[np.uint8], tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.jpg", corners, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x63\0\0\0\xff\0\0"
    )
    with pytest.warns(UserWarning, match="EXIF|Skipping tag|Truncated"), Image.open(path) as image:
        image.getexif()
    assert read_image(path).shape == (4, 6, 3)  # and the suite turns warnings into errors


def test_heic_of_the_optional_decoder(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.register_heif_opener()
    path = tmp_path / "phone.heic"
    Image.new("RGB", (60, 40), (200, 100, 50)).save(path, quality=95)
    pixels = read_image(path)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels.astype(int) - [200, 100, 50]).max() <= 4


def test_images_of_up_to_179_million_pixels_are_read(tmp_path: Path) -> None:
    """Scans of 12,000 x 8,000 pixels; Pillow warns above 89 million and refuses twice as many."""
    Image.new("1", (12000, 8000)).save(tmp_path / "scan.png")
    assert image_size(tmp_path / "scan.png") == (8000, 12000)
    assert read_image(tmp_path / "scan.png").shape == (8000, 12000, 3)
