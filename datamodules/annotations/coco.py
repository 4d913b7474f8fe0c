"""Reads COCO's JSON files: polygons, run lengths and crowds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from datamodules.annotations.annotation_set import (
    AnnotatedImage,
    Annotation,
    AnnotationSet,
    Region,
    Skipped,
    safe_name,
    split_of,
)
from datamodules.annotations.documents import read_json
from datamodules.annotations.images import ImageFinder
from datamodules.annotations.polygons import Polygons
from datamodules.annotations.run_lengths import CocoRunLengths
from datamodules.errors import DataError
from datamodules.index.splits import SPLIT_NAMES, Split


def read_coco(source: Path, images: Path | None) -> AnnotationSet:
    """Reads one JSON file, or all files with COCO's instances below a folder.

    Several files are taken for splits if their names or folders name one, such as ``instances_train2017.json`` or
    ``train/_annotations.coco.json``.

    Args:
        source: the file or the folder.
        images: folder of the images; ``None`` looks beside the file and in the usual folders.

    Raises:
        DataError: if there is no such file, or it is none of COCO's.
    """
    files = [source] if source.is_file() else sorted(source.rglob("*.json"))
    instances = [file for file in files if file.name.startswith("instances")] or files
    skipped = [Skipped("file that is not about instances", file.name) for file in files if file not in instances]
    root = source.parent if source.is_file() else source
    found: list[AnnotatedImage] = []
    labels: dict[str, None] = {}
    splits = _splits(instances, root)
    read = 0
    for file in instances:
        content = read_json(file)
        if not isinstance(content, dict) or not all(
            isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
        ):
            skipped.append(Skipped("file without COCO's images, annotations and categories", file.name))
            continue
        read += 1
        finder = ImageFinder(images, also=(file.parent, *_usual_folders(file, root)))
        part, names, unused = _read_file(content, file.relative_to(root).as_posix(), finder, splits.get(file))
        found += part
        labels |= dict.fromkeys(names)
        skipped += unused
    if not read:
        raise DataError(
            f"{source} holds no file with COCO's images, annotations and categories: name the JSON file of the "
            "instances"
        )
    return AnnotationSet(images=found, labels=list(labels), skipped=skipped)


def _read_file(
    content: Mapping[str, list[Any]], where: str, finder: ImageFinder, split: Split | None
) -> tuple[list[AnnotatedImage], list[str], list[Skipped]]:
    names = {
        one["id"]: one["name"].strip()
        for one in content["categories"]
        if isinstance(one, dict) and isinstance(one.get("id"), int) and isinstance(one.get("name"), str)
    }
    skipped: list[Skipped] = []
    annotations: dict[int, list[Annotation]] = defaultdict(list)
    for number, one in enumerate(content["annotations"], start=1):
        place = f"{where} annotation {one.get('id', number) if isinstance(one, dict) else number}"
        made = _annotation(one, names, place)
        if isinstance(made, Skipped):
            skipped.append(made)
        else:
            annotations[one["image_id"]].append(made)
    images: list[AnnotatedImage] = []
    for one in content["images"]:
        if not isinstance(one, dict) or not isinstance(one.get("id"), int) or not isinstance(one.get("file_name"), str):
            skipped.append(Skipped("image without id and file_name", where))
            continue
        own = annotations.pop(one["id"], [])
        name, image = safe_name(one["file_name"]), finder.find(one["file_name"])
        if name is None or image is None:
            reason = "annotation of an image that is missing"
            skipped += [Skipped(reason, f"{item.where} ({one['file_name']})") for item in own]
            skipped.append(Skipped("image that is missing", one["file_name"]))
            continue
        height, width = one.get("height"), one.get("width")
        size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        images.append(AnnotatedImage(name=name, image=image, annotations=own, size=size, split=split))
    for left in annotations.values():
        skipped += [Skipped("annotation whose image is not listed", one.where) for one in left]
    return images, list(names.values()), skipped


def _annotation(one: object, names: Mapping[int, str], place: str) -> Annotation | Skipped:
    if not isinstance(one, dict) or not isinstance(one.get("image_id"), int):
        return Skipped("annotation without image_id", place)
    label = names.get(one["category_id"]) if isinstance(one.get("category_id"), int) else None
    if label is None:
        return Skipped("annotation of a category that is not listed", place)
    stored = one.get("segmentation")
    region: Region
    if isinstance(stored, dict) and isinstance(stored.get("counts"), list | str):
        region = CocoRunLengths(stored["counts"], stored.get("size"))
    elif isinstance(stored, list) and stored:
        region = Polygons(stored)
    else:
        return Skipped("annotation without an outline (a box or key points only)", place)
    return Annotation(label=label, region=region, where=place, crowd=bool(one.get("iscrowd")))


def _splits(files: Sequence[Path], root: Path) -> dict[Path, Split]:
    """The split of each file, if all have one and one of them is ``train``."""
    found: dict[Path, Split] = {}
    for file in files:
        split = split_of(PurePosixPath(file.relative_to(root).as_posix())) or _split_in_name(file.stem)
        if split is not None:
            found[file] = split
    return found if len(found) == len(files) and "train" in found.values() else {}


def _split_in_name(stem: str) -> Split | None:
    words = "".join(letter if letter.isalpha() else " " for letter in stem.lower()).split()
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def _usual_folders(file: Path, root: Path) -> list[Path]:
    """Where images are beside ``annotations/instances_val2017.json``: ``val2017``, ``images/val2017`` and others."""
    year = file.stem.rpartition("_")[2]
    above = [file.parent, file.parent.parent] if file.parent != root else [file.parent, root]
    names = [year, f"images/{year}", *(f"images/{split}" for split in get_args(Split) if split in year), "images"]
    return [place / name for place in dict.fromkeys(above) for name in names if (place / name).is_dir()]
