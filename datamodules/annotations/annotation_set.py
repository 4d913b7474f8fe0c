"""Annotations of a set of images, as every reader returns them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.index.splits import SPLIT_NAMES, Split

#: Which annotation wins where several cover a pixel: the later one, or the one with the smaller area.
Overlap = Literal["order", "area"]
#: Names of labels that are background, and that mark ignored pixels, in labelme's converters.
BACKGROUND_LABELS, IGNORE_LABELS = frozenset({"_background_", "background"}), frozenset({"__ignore__"})


class RegionError(ValueError):
    """A region cannot be drawn; the message is the reason, without the name of the file."""


class Patch(NamedTuple):
    """A drawn region: the part of the image that holds it."""

    top: int  # row of its first pixel
    left: int  # column of its first pixel
    pixels: NDArray[np.bool_]  # (h, w), inside the image


class Region(Protocol):
    """The pixels of an annotation, stored in the way of its format."""

    def draw(self, height: int, width: int) -> Patch:
        """Draws the region into an image of this size.

        Raises:
            RegionError: if it is malformed.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One annotated region of an image.

    Args:
        label: its class.
        region: its pixels.
        where: place in its file, for messages.
        crowd: whether it covers a group of objects without their outlines: its pixels are ignored.
    """

    label: str
    region: Region
    where: str
    crowd: bool = False


@dataclass(frozen=True, kw_only=True)
class AnnotatedImage:
    """An image and its annotations, in the order of their file.

    Args:
        name: path of the image below its split, with ``/`` and suffix, safe to join to a folder.
        image: the image file.
        annotations: may be empty: an image of background.
        size: height and width that the annotations were made for; ``None`` if the format does not store them.
        split: the split that the source puts it into.
        embedded: whether ``image`` is a file of labelme that holds the image in ``imageData``.
    """

    name: str
    image: Path
    annotations: Sequence[Annotation]
    size: tuple[int, int] | None = None
    split: Split | None = None
    embedded: bool = False


class Skipped(NamedTuple):
    """An annotation, image or file that is not used."""

    reason: str
    where: str


@dataclass(frozen=True, kw_only=True)
class AnnotationSet:
    """What a reader found.

    Args:
        images: the images.
        labels: labels in the order of their class numbers, as the source declares them.
        skipped: what the reader could not use.
    """

    images: Sequence[AnnotatedImage]
    labels: Sequence[str]
    skipped: Sequence[Skipped]


def split_of(path: PurePosixPath | Path) -> Split | None:
    """The split that a folder of a path names.

    >>> split_of(PurePosixPath("images/Train/a.jpg")), split_of(PurePosixPath("images/a.jpg"))
    ('train', None)
    """
    return next((SPLIT_NAMES[part.lower()] for part in path.parts[:-1] if part.lower() in SPLIT_NAMES), None)


def safe_name(stored: str) -> str | None:
    r"""A name from an annotation file as a relative path; of an absolute path or one with ``..``, the last part.

    >>> safe_name("a/b.jpg"), safe_name("..\\\\b.jpg"), safe_name("C:\\\\x\\\\b.jpg"), safe_name("/"), safe_name("a/..")
    ('a/b.jpg', 'b.jpg', 'b.jpg', None, None)
    """
    path = PurePosixPath(stored.replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("/", ".")]
    if path.is_absolute() or PureWindowsPath(stored).is_absolute() or ".." in parts or ":" in stored:
        parts = parts[-1:]
    if not parts or parts[-1] == ".." or "\0" in stored:
        return None
    return "/".join(parts)
