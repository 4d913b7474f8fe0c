"""Checks of image files that Pillow does not make: checksums of PNG, tile sizes of TIFF, scans of JPEG."""

import struct
import zlib

from PIL import Image, ImageFile, TiffImagePlugin

MAX_SCANS = 100  # of a JPEG; encoders write about 10, and each one costs a pass over the whole image
MAX_TILE_PIXELS = 4096 * 4096  # of a TIFF whose image is smaller than its tiles

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
_TILE_WIDTH, _TILE_LENGTH, _SAMPLES = 322, 323, 277


def check_tile_size(image: Image.Image) -> None:
    """Refuses a TIFF whose tiles are much larger than the image: a tile is decoded as a whole.

    Raises:
        ValueError: if a tile has more than ``MAX_TILE_PIXELS`` and more than the image.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    width, height = (int(image.tag_v2.get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    samples = int(image.tag_v2.get(_SAMPLES, 1))
    if width * height * max(1, samples) > max(MAX_TILE_PIXELS, 4 * image.width * image.height):
        raise ValueError(f"its tiles of {width} x {height} are larger than its image of {image.width} x {image.height}")


def check_content(image: ImageFile.ImageFile) -> None:
    """Checks the file of an image before its pixels are decoded.

    Raises:
        ValueError: if a PNG's checksum is wrong, a PNG is cut short, or a JPEG has more than ``MAX_SCANS`` scans.
    """
    if image.format not in ("PNG", "JPEG", "MPO") or image.fp is None:
        return
    position = image.fp.tell()
    image.fp.seek(0)
    content = image.fp.read()
    image.fp.seek(position)
    if image.format == "PNG":
        _check_png(content)
    elif content.count(b"\xff\xda") > MAX_SCANS:  # cannot occur inside compressed data, where 0xff precedes 0x00
        raise ValueError(f"it has {content.count(bytes((0xFF, 0xDA)))} scans, more than {MAX_SCANS}")


def _check_png(content: bytes) -> None:
    """Compares the CRC of every critical chunk. Pillow does so for the header only, and ignores zlib's checksum."""
    position = len(_PNG_SIGNATURE)
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if kind == b"IEND":
            return
        end = position + 8 + length
        if end + 4 > len(content):
            break
        if kind in _PNG_CRITICAL or not kind[:1].islower():
            (stored,) = struct.unpack_from(">I", content, end)
            if zlib.crc32(memoryview(content)[position + 4 : end]) != stored:
                raise ValueError(f"the checksum of its chunk {kind.decode('ascii', 'replace')} is wrong")
        position = end + 4
    raise ValueError("it ends before its last chunk")
