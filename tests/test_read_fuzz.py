"""Damaged files give a picture of the stated form or a ``DataError``: no other exception, no warning, no output."""

from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.masks import read_mask_values
from datamodules.read import image_size, read_image

EVERYDAY, THOROUGH = 200, 2000


def wholes() -> list[bytes]:
    """One small file of every kind, with EXIF and several modes among them."""
    ramp = np.linspace(0, 255, 48 * 32).astype(np.uint8).reshape(32, 48)
    colour = np.stack([ramp, ramp.T.reshape(32, 48), ramp[::-1]], axis=2)
    rgb, grey, bits = Image.fromarray(colour), Image.fromarray(ramp), Image.fromarray(ramp > 99)
    deep, palette = Image.fromarray(ramp.astype(np.uint16) * 257), rgb.quantize(8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    files: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "PNG", {"exif": exif}),
        (palette, "PNG", {"transparency": 0}),
        (deep, "PNG", {}),
        (bits, "PNG", {}),
        (palette, "GIF", {}),
        (grey, "GIF", {"save_all": True, "append_images": [rgb]}),
        (rgb, "TIFF", {"exif": exif}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (bits, "TIFF", {"compression": "group4"}),
        (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (palette, "BMP", {}),
        (rgb, "WEBP", {}),
        (rgb.convert("RGBA"), "PNG", {"optimize": True}),
    ]
    contents = []
    for image, form, options in files:
        buffer = BytesIO()
        image.save(buffer, form, **options)
        contents.append(buffer.getvalue())
    return contents


def flip(content: bytearray, generator: np.random.Generator) -> bytearray:
    for place in generator.integers(0, len(content), generator.integers(1, 9)):
        content[place] ^= 1 << int(generator.integers(8))
    return content


def flip_in_the_header(content: bytearray, generator: np.random.Generator) -> bytearray:
    return flip(content[:200], generator) + content[200:]


def cut(content: bytearray, generator: np.random.Generator) -> bytearray:
    return content[: generator.integers(1, len(content))]


def blank(content: bytearray, generator: np.random.Generator) -> bytearray:
    start = int(generator.integers(len(content)))
    length = min(int(generator.integers(1, 64)), len(content) - start)
    content[start : start + length] = bytes([int(generator.choice([0, 255]))]) * length
    return content


def drop(content: bytearray, generator: np.random.Generator) -> bytearray:
    start = int(generator.integers(len(content)))
    del content[start : start + int(generator.integers(1, 32))]
    return content


def image(path: Path) -> None:
    pixels = read_image(path, at_least=8)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3


def mask(path: Path) -> None:
    values = read_mask_values(path)
    assert values.dtype in (np.uint8, np.uint16)
    assert values.ndim == 2


def size(path: Path) -> None:
    height, width = image_size(path)
    assert height > 0
    assert width > 0


def outcome(read: Callable[[Path], None], path: Path) -> str:
    try:
        read(path)
    except DataError as error:
        return "refused" if str(error).startswith(f"{path}: ") else "refused without its name"
    return "read"


@pytest.mark.parametrize("count", [EVERYDAY, pytest.param(THOROUGH, marks=pytest.mark.slow)])
def test_damaged_files(count: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    contents, ways = wholes(), (flip, flip_in_the_header, cut, blank, drop)
    outcomes: Counter[str] = Counter()
    said = ""
    for index in range(count):
        generator = np.random.default_rng([7, index])
        whole = bytearray(contents[index % len(contents)])
        # Every kind meets every way: 16 kinds and 5 ways have no common divisor.
        content = whole if index < len(contents) else ways[index % len(ways)](whole, generator)
        path = tmp_path / "damaged.bin"
        path.write_bytes(content)
        results = [outcome(read, path) for read in (image, mask, size)]
        outcomes.update(results)
        if index < len(contents):
            assert (results[0], results[2]) == ("read", "read")
        words = "".join(capfd.readouterr())
        said += "" if content[:2] in (b"II", b"MM") else words  # libtiff's C code speaks of damage by itself
    assert said == ""
    assert set(outcomes) == {"read", "refused"}
    assert min(outcomes.values()) > count // 4, outcomes  # else it tests nothing
