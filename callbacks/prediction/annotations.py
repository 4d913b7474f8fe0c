"""Predicted masks as annotations of other tools: COCO's and labelme's JSON."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from callbacks.output_file import output_file
from callbacks.prediction.outlines import Draw, Points, find_outlines
from callbacks.prediction.writer import SourceImage

_BACKGROUND = frozenset({"background", "_background_"})
_LABELME_VERSION = "5.5.0"  # of the format, which labelme compares with its own


def label_masks(classes: NDArray[np.uint8], names: Sequence[str]) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """Yields number, name and pixels of each class that occurs, without the background.

    Args:
        classes: ``(H, W)``: 0 and 1 for one class, class numbers for several.
        names: names of the classes.
    """
    one = len(names) == 1
    for number, name in enumerate(names):
        mask = classes == (1 if one else number)
        if name not in _BACKGROUND and mask.any():
            yield number, name, mask


def coco_line(classes: NDArray[np.uint8], image: SourceImage, names: Sequence[str], draw: Draw) -> str:
    """The image and its regions as one line of JSON, for ``join_coco``.

    The category of a class is its number plus one, since 0 is background in COCO.
    """
    height, width = classes.shape
    regions = []
    for number, _, mask in label_masks(classes, names):
        for polygon in find_outlines(mask, draw, on_pixels=False):
            low, high = polygon.min(axis=0), polygon.max(axis=0)
            regions.append(
                {
                    "category_id": number + 1,
                    "segmentation": [polygon.ravel().tolist()],
                    "bbox": [*low.tolist(), *(high - low).tolist()],
                    "area": _area(polygon),
                    "iscrowd": 0,
                }
            )
    file_name = f"{image.name}{PurePosixPath(image.path.replace(os.sep, '/')).suffix}"
    return json.dumps([{"file_name": file_name, "height": height, "width": width}, regions])


def join_coco(names: Sequence[str]) -> Callable[[Callable[[], Iterable[bytes]], BinaryIO], None]:
    """Makes the function that writes the file of all images from the lines of ``coco_line``.

    Args:
        names: names of the classes.
    """

    def join(lines: Callable[[], Iterable[bytes]], file: BinaryIO) -> None:
        categories = [{"id": number + 1, "name": name} for number, name in enumerate(names) if name not in _BACKGROUND]
        file.write(b'{"categories": ' + json.dumps(categories).encode() + b',\n"images": [')
        _write_items(file, ({"id": number, **json.loads(line)[0]} for number, line in enumerate(lines(), start=1)))
        file.write(b'],\n"annotations": [')
        regions = (
            {"image_id": number, **region}
            for number, line in enumerate(lines(), start=1)
            for region in json.loads(line)[1]
        )
        _write_items(file, ({"id": number, **region} for number, region in enumerate(regions, start=1)))
        file.write(b"]}\n")

    return join


def save_labelme(
    target: Path, classes: NDArray[np.uint8], image: SourceImage, names: Sequence[str], draw: Draw
) -> None:
    """Writes the regions of one image as a file of labelme, which names the image by its path from there.

    Raises:
        OutputError: if the file cannot be written.
    """
    shapes = [
        {
            "label": name,
            "points": polygon.tolist(),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for _, name, mask in label_masks(classes, names)
        for polygon in find_outlines(mask, draw, on_pixels=True)
    ]
    content: dict[str, Any] = {
        "version": _LABELME_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": _relative(Path(image.path), target.parent),
        "imageData": None,
        "imageHeight": image.size[0],
        "imageWidth": image.size[1],
    }
    with output_file(target) as file:
        file.write(json.dumps(content, indent=1).encode())


def _area(polygon: Points) -> float:
    """Area by the shoelace formula."""
    x, y = polygon.T
    return abs(float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())) / 2


def _write_items(file: BinaryIO, items: Iterable[dict[str, Any]]) -> None:
    for number, item in enumerate(items):
        file.write((b",\n" if number else b"\n") + json.dumps(item).encode())


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()
