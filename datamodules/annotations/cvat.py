"""Reads CVAT's XML 1.1 for images: polygons, boxes, ellipses and masks."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from datamodules.annotations.annotation_set import (
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Region,
    RegionError,
    Skipped,
    safe_name,
    split_of,
)
from datamodules.annotations.documents import parse_xml
from datamodules.annotations.images import ImageFinder
from datamodules.annotations.polygons import Ellipse, Polygons
from datamodules.annotations.run_lengths import CvatRunLengths
from datamodules.errors import DataError
from datamodules.index.splits import SPLIT_NAMES

_WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton", "tag")


def read_cvat(source: Path, images: Path | None) -> AnnotationSet:
    """Reads one XML file, or all below a folder. Shapes are in the order of their ``z_order``, then of the file.

    Args:
        source: the file, or the folder of an unpacked export.
        images: folder of the images; ``None`` looks beside the file and in ``images/``.

    Raises:
        DataError: if there is no such file, or it is none of CVAT's.
    """
    files = [source] if source.is_file() else sorted(source.rglob("*.xml"))
    found: list[AnnotatedImage] = []
    labels: dict[str, None] = {}
    skipped: list[Skipped] = []
    for file in files:
        folders = tuple(place for place in (file.parent, file.parent / "images") if place.is_dir())
        reader = _Reader(file, ImageFinder(images, also=folders))
        parse_xml(file, reader.start, reader.end)
        if reader.root != "annotations":
            skipped.append(Skipped("XML file that is not CVAT's", file.name))
            continue
        found += reader.images
        labels |= dict.fromkeys(reader.labels)
        skipped += reader.skipped
    if not labels and not found:
        raise DataError(f"{source} holds no XML file of CVAT: export as 'CVAT for images 1.1' and unpack it")
    occurring = sorted({one.label for image in found for one in image.annotations} - labels.keys())
    return AnnotationSet(images=found, labels=[*labels, *occurring], skipped=skipped)


class _Reader:
    """Collects the elements of one file.

    Args:
        file: the file.
        finder: looks up its images.
    """

    def __init__(self, file: Path, finder: ImageFinder) -> None:
        self.root, self.labels = "", list[str]()
        self.images: list[AnnotatedImage] = []
        self.skipped: list[Skipped] = []
        self._file, self._finder = file, finder
        self._open: list[str] = []
        self._image: Mapping[str, str] | None = None
        self._shapes: list[tuple[int, Annotation]] = []
        self._count = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Begins an element."""
        self.root = self.root or name
        parent = self._open[-1] if self._open else ""
        self._open.append(name)
        if name == "image" and parent == "annotations":
            self._image, self._shapes = attributes, []
        elif parent == "track" or (parent == "annotations" and name == "track"):
            if name != "track":
                self.skipped.append(Skipped("shape of a video's track", self._place()))
        elif parent == "image" and self._image is not None:
            self._count += 1
            self._shape(name, attributes)

    def end(self, name: str, text: str) -> None:
        """Ends an element."""
        self._open.pop()
        if name == "name" and self._open[-1:] == ["label"] and text:
            self.labels.append(text)
        elif name == "image" and self._image is not None and self._open == ["annotations"]:
            self._finish(self._image)
            self._image = None

    def _shape(self, kind: str, values: Mapping[str, str]) -> None:
        place = self._place()
        if kind in _WITHOUT_AREA:
            self.skipped.append(Skipped(f"{kind}: it has no area in the image", place))
            return
        label = values.get("label", "").strip()
        try:
            region = _region(kind, values)
            order = int(values.get("z_order", "0"))
        except RegionError as error:
            self.skipped.append(Skipped(str(error), place))
            return
        except ValueError:
            self.skipped.append(Skipped(f"{kind} with malformed numbers", place))
            return
        if not label:
            self.skipped.append(Skipped("shape without a label", place))
            return
        self._shapes.append((order, Annotation(label=label, region=region, where=place)))

    def _finish(self, values: Mapping[str, str]) -> None:
        stored = values.get("name", "")
        name, image = safe_name(stored), self._finder.find(stored, beside=self._file)
        annotations = [one for _, one in sorted(self._shapes, key=lambda item: item[0])]
        if name is None or image is None:
            self.skipped += [Skipped("annotation of an image that is missing", one.where) for one in annotations]
            self.skipped.append(Skipped("image that is missing", stored))
            return
        try:
            size = int(values["height"]), int(values["width"])
        except (KeyError, ValueError):
            size = None
        split = SPLIT_NAMES.get(values.get("subset", "").lower()) or split_of(PurePosixPath(name))
        self.images.append(AnnotatedImage(name=name, image=image, annotations=annotations, size=size, split=split))

    def _place(self) -> str:
        image = "" if self._image is None else f" image {self._image.get('name', '')}"
        return f"{self._file.name}{image} shape {self._count}"


def _region(kind: str, values: Mapping[str, str]) -> Region:
    """Makes the region of an element.

    Raises:
        RegionError: for an unknown element, or one that lacks an attribute.
        ValueError: for an attribute that is no number.
    """
    try:
        if kind == "polygon":
            pairs = [pair.split(",") for pair in values["points"].split(";") if pair.strip()]
            return Polygons([[float(number) for pair in pairs for number in pair]])
        if kind == "box":
            left, top, right, bottom = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
            center, radius = ((left + right) / 2, (top + bottom) / 2), ((right - left) / 2, (bottom - top) / 2)
            return Ellipse(center, radius, float(values.get("rotation", "0")), box=True)
        if kind == "ellipse":
            x, y, rx, ry = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
            return Ellipse((x, y), (rx, ry), float(values.get("rotation", "0")))
        if kind == "mask":
            left, top, width, height = (int(values[key]) for key in ("left", "top", "width", "height"))
            return CvatRunLengths([int(word) for word in values["rle"].split(",")], (left, top, width, height))
    except KeyError as error:
        raise RegionError(f"{kind} without {error}") from error
    raise RegionError(f"shape of the unknown type {kind!r:.40}")
