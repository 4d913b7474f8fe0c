"""Images in one object, for loader processes whose memory does not grow."""

from collections.abc import Iterable
from functools import partial

from datamodules.cache.encodings import ProportionalEncoding
from datamodules.images.check import ImageFile
from datamodules.loading.packed import PackedSequence, Row
from datamodules.storage.path_table import PathTable


def pack_images(images: Iterable[ImageFile]) -> PackedSequence[ImageFile]:
    """Stores images as a ``PackedSequence``."""
    paths = PathTable()
    return PackedSequence(images, row=partial(_row, paths), record=partial(_image, paths))


def _row(paths: PathTable, image: ImageFile) -> Row:
    size = image.encoding
    return image.name, paths.value(image.path), size.height, size.width, size.bits, image.gray, image.largest


def _image(paths: PathTable, row: Row) -> ImageFile:
    name, path, height, width, bits, gray, largest = row
    return ImageFile(name, paths.path(path), ProportionalEncoding(height, width, bits), gray, largest)
