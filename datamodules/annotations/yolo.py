"""Reads YOLO's segmentation labels: one text file per image with a class and a polygon in each line."""

from pathlib import Path, PurePosixPath

from datamodules.annotations.annotation_set import AnnotatedImage, Annotation, AnnotationSet, Skipped, split_of
from datamodules.annotations.documents import read_text, read_yaml
from datamodules.annotations.polygons import Polygons
from datamodules.errors import DataError
from datamodules.index.folder_scan import list_images

_BOX = 5  # numbers in a line of a detection label


def read_yolo(source: Path, images: Path | None) -> AnnotationSet:
    """Reads a data set in YOLO's layout: ``images/`` beside ``labels/``, with folders of splits above or below them.

    The names of the classes come from ``names`` of a YAML file, or from ``classes.txt``; without both they are
    numbers. An image without a text file is background, as in YOLO.

    Args:
        source: folder of the data, or of the text files.
        images: folder of the images, if they are not in ``source``.

    Raises:
        DataError: if there are no images, or the list of classes cannot be read.
    """
    if not source.is_dir():
        raise DataError(f"{source} is not a folder: name the folder with YOLO's images and labels")
    place = images or source
    files = list_images(place)
    if not files:
        raise DataError(f"{place} holds no images: name their folder with --images FOLDER")
    declared = _class_names(source)
    found: list[AnnotatedImage] = []
    skipped: list[Skipped] = []
    used: set[Path] = set()
    for image in files:
        inner = image.relative_to(place)
        label_file = _label_file(source, inner, other=images is not None)
        used.add(label_file)
        annotations: list[Annotation] = []
        if label_file.is_file():
            annotations, unused = _lines(label_file, label_file.relative_to(source).as_posix(), declared)
            skipped += unused
        split = split_of(inner)
        name = PurePosixPath(*(part for part in inner.parts[:-1] if part != "images"), inner.name).as_posix()
        found.append(AnnotatedImage(name=name, image=image, annotations=annotations, split=split))
    named = {"classes.txt", "train.txt", "val.txt", "test.txt"}
    for file in sorted(source.rglob("*.txt")):
        if file not in used and file.name not in named and "README" not in file.name:
            lines = [line for line in read_text(file).splitlines() if line.strip()]
            where = file.relative_to(source).as_posix()
            reason = "annotation of an image that is missing"
            skipped += [Skipped(reason, f"{where} line {number}") for number, _ in enumerate(lines, start=1)]
    occurring = {one.label for image in found for one in image.annotations} - set(declared)
    labels = [*declared, *sorted(occurring, key=lambda label: (len(label), label))]
    return AnnotationSet(images=found, labels=labels, skipped=skipped)


def _lines(file: Path, where: str, names: list[str]) -> tuple[list[Annotation], list[Skipped]]:
    annotations: list[Annotation] = []
    skipped: list[Skipped] = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        words, place = line.split(), f"{where} line {number}"
        if not words:
            continue
        try:
            values: list[object] = [float(word) for word in words[1:]]
            index = int(words[0])
        except ValueError:
            skipped.append(Skipped("line that is not made of numbers", place))
            continue
        if len(words) == _BOX:
            skipped.append(Skipped("box without an outline", place))
        elif names and not 0 <= index < len(names):
            skipped.append(Skipped(f"class {index} that is not listed", place))
        else:
            label = names[index] if names else str(index)
            annotations.append(Annotation(label=label, region=Polygons([values], scale=(1.0, 1.0)), where=place))
    return annotations, skipped


def _label_file(source: Path, image: Path, *, other: bool) -> Path:
    """The text file of an image: the last folder ``images`` is replaced by ``labels``; else beside the image."""
    parts = list(image.with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        position = len(parts) - 2 - parts[:-1][::-1].index("images")
        parts[position] = "labels"
    elif other and (source / "labels").is_dir():
        parts = ["labels", *parts]
    return source.joinpath(*parts)


def _class_names(source: Path) -> list[str]:
    for file in sorted([*source.glob("*.yaml"), *source.glob("*.yml")]):
        content = read_yaml(file)
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, dict) and all(isinstance(key, int) for key in names):
            if sorted(names) != list(range(len(names))):
                raise DataError(f"{file}: names must be numbered from 0 to {len(names) - 1}")
            names = [names[number] for number in range(len(names))]
        if isinstance(names, list) and names:
            return [str(name) for name in names]
    listing = source / "classes.txt"
    return [line.strip() for line in read_text(listing).splitlines() if line.strip()] if listing.is_file() else []
