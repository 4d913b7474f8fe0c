"""Reads the JSON files of labelme."""

from pathlib import Path, PurePosixPath
from typing import Any

from datamodules.annotations.annotation_set import (
    BACKGROUND_LABELS,
    IGNORE_LABELS,
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Region,
    Skipped,
    split_of,
)
from datamodules.annotations.bitmaps import LabelmeMask
from datamodules.annotations.documents import read_json, read_text
from datamodules.annotations.images import ImageFinder
from datamodules.annotations.polygons import LabelmeShape
from datamodules.errors import DataError

_LABELS_FILE = "labels.txt"
_WITHOUT_AREA = ("point", "points", "line", "linestrip")


def read_labelme(source: Path, images: Path | None) -> AnnotationSet:
    """Reads a folder of labelme's files, or one file.

    Classes are in the order of ``labels.txt`` if the folder holds one, else sorted by name. The label ``_background_``
    is background, and ``__ignore__`` marks pixels to ignore, as in labelme's converters.

    Args:
        source: the folder, searched at any depth, or a JSON file.
        images: folder of the images; ``None`` for where the files name them. Without an image, the one inside the file
            is used.

    Raises:
        DataError: if there is no such file.
    """
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    if not files:
        raise DataError(f"{source} holds no JSON file: name the folder of labelme's files")
    root = source.parent if source.is_file() else source
    finder = ImageFinder(images)
    found: list[AnnotatedImage] = []
    skipped: list[Skipped] = []
    for file in files:
        where = file.relative_to(root).as_posix()
        try:
            content = read_json(file)
        except DataError as error:
            skipped.append(Skipped("file that cannot be read", str(error)))
            continue
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            skipped.append(Skipped("JSON file without labelme's shapes", where))
            continue
        image = finder.find(str(content.get("imagePath", "")), beside=file)
        annotations, unused = _shapes(content["shapes"], where)
        skipped += unused
        embedded = None if image is not None else _embedded_suffix(content)
        if image is None and embedded is None:
            reason = f"annotation of an image that is missing ({content.get('imagePath')})"
            skipped += [Skipped(reason, one.where) for one in annotations] or [Skipped(reason, where)]
            continue
        inner = PurePosixPath(where)
        split = split_of(inner)
        found.append(
            AnnotatedImage(
                name=inner.with_suffix(embedded or (image or file).suffix).as_posix(),
                image=image or file,
                annotations=annotations,
                size=_size(content),
                split=split,
                embedded=image is None,
            )
        )
    return AnnotationSet(images=found, labels=_labels(root / _LABELS_FILE, found), skipped=skipped)


def _shapes(shapes: list[Any], where: str) -> tuple[list[Annotation], list[Skipped]]:
    annotations: list[Annotation] = []
    skipped: list[Skipped] = []
    for number, shape in enumerate(shapes, start=1):
        place = f"{where} shape {number}"
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"].strip():
            skipped.append(Skipped("shape without a label", place))
            continue
        kind = shape.get("shape_type") or "polygon"
        region: Region
        if kind == "mask":
            region = LabelmeMask(shape.get("points"), shape.get("mask"))
        elif kind in ("polygon", "rectangle", "circle"):
            region = LabelmeShape(kind, shape.get("points"))
        else:
            reason = f"{kind}: it has no area" if kind in _WITHOUT_AREA else f"shape of the unknown type {kind!r:.40}"
            skipped.append(Skipped(reason, place))
            continue
        annotations.append(Annotation(label=shape["label"].strip(), region=region, where=place))
    return annotations, skipped


def _embedded_suffix(content: dict[str, Any]) -> str | None:
    """The suffix of the image inside a file; ``None`` if there is none, or one of another format."""
    data = content.get("imageData")
    starts = {"iVBORw0KGgo": ".png", "/9j/": ".jpg"}  # in base64
    return next((suffix for start, suffix in starts.items() if isinstance(data, str) and data.startswith(start)), None)


def _size(content: dict[str, Any]) -> tuple[int, int] | None:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _labels(file: Path, images: list[AnnotatedImage]) -> list[str]:
    declared = [line.strip() for line in read_text(file).splitlines()] if file.is_file() else []
    occurring = {annotation.label for image in images for annotation in image.annotations}
    special = BACKGROUND_LABELS | IGNORE_LABELS | {""}
    return [name for name in dict.fromkeys([*declared, *sorted(occurring)]) if name not in special]
