"""Damaged files give an image of the documented form or a ``DataError``: no other exception, warning or output."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.io.image import image_size, read_image
from datamodules.segmentation.mask_io import read_mask_values

EVERYDAY, THOROUGH = 200, 2000


def wholes() -> list[bytes]:
    """One small file per format, some with EXIF, in several modes."""
    ramp = np.linspace(0, 255, 48 * 32).astype(np.uint8).reshape(32, 48)
    color = np.stack([ramp, ramp.T.reshape(32, 48), ramp[::-1]], axis=2)
    rgb, gray, bits = Image.fromarray(color), Image.fromarray(ramp), Image.fromarray(ramp > 99)
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
        (gray, "GIF", {"save_all": True, "append_images": [rgb]}),
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


def swap(content: bytearray, generator: np.random.Generator) -> bytearray:
    """Swaps two parts of the file."""
    first, second = sorted(int(place) for place in generator.integers(0, len(content), 2))
    length = int(generator.integers(1, 32))
    one, other = content[first : first + length], content[second : second + length]
    if first + length <= second and len(one) == len(other):
        content[first : first + length], content[second : second + length] = other, one
    return content


def swap_neighbours(content: bytearray, generator: np.random.Generator) -> bytearray:
    for place in generator.integers(0, min(len(content), 300) - 1, 4):
        content[place], content[place + 1] = content[place + 1], content[place]
    return content


def image(path: Path) -> None:
    pixels = read_image(path, for_size=8)
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
        if isinstance(error.__cause__, MemoryError):
            return "took more memory than there was"
        return "refused" if str(error).startswith(f"{path}: ") else "refused without its name"
    return "read"


@pytest.fixture
def _a_gigabyte() -> Iterator[None]:
    """Limits the additional memory of this process."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 1_000_000_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(sys.platform != "linux", reason="looks up its memory in /proc")
@pytest.mark.usefixtures("_a_gigabyte")
@pytest.mark.parametrize("count", [EVERYDAY, pytest.param(THOROUGH, marks=pytest.mark.slow)])
def test_damaged_files(count: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    contents, ways = wholes(), (flip, flip_in_the_header, cut, blank, drop, swap, swap_neighbours)
    outcomes: Counter[str] = Counter()
    said, slowest = "", 0.0
    for index in range(count):
        generator = np.random.default_rng([7, index])
        whole = bytearray(contents[index % len(contents)])
        # Every kind meets every way: 16 kinds and 7 ways have no common divisor.
        content = whole if index < len(contents) else ways[index % len(ways)](whole, generator)
        path = tmp_path / "damaged.bin"
        path.write_bytes(content)
        start = time.process_time()
        results = [outcome(read, path) for read in (image, mask, size)]
        slowest = max(slowest, time.process_time() - start)
        outcomes.update(results)
        if index < len(contents):
            assert (results[0], results[2]) == ("read", "read")
        words = "".join(capfd.readouterr())
        said += "" if content[:2] in (b"II", b"MM") else words  # libtiff's C code speaks of damage by itself
    assert said == ""
    assert slowest < 10  # seconds of the processor; the largest image that is allowed takes 3
    assert set(outcomes) == {"read", "refused"}
    assert min(outcomes.values()) > count // 4, outcomes  # else it tests nothing
