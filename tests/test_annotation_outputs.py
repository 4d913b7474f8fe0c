"""Predicted masks as polygons of COCO and labelme, read back by the import and by pycocotools."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from callbacks.prediction.annotations import join_coco
from callbacks.prediction.outlines import find_outlines
from callbacks.prediction.segmentation import SegmentationFiles
from callbacks.prediction.writer import SourceImage
from datamodules.annotations.annotation_set import AnnotationSet
from datamodules.annotations.coco import read_coco
from datamodules.annotations.convert import Converter
from datamodules.annotations.import_set import write_set
from datamodules.annotations.labelme import read_labelme
from experiments.tasks.segment_outputs import draw_coco, draw_labelme
from tests.helpers.tiny_images import noise, save

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
Mask = NDArray[np.bool_]


def blobs(seed: int, height: int = 240, width: int = 320, blur: float = 9.0) -> Mask:
    field = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(field, (0, 0), blur))
    return smooth > np.median(smooth)


def ring() -> Mask:
    distance = np.hypot(*np.mgrid[-80:80, -90:90])
    return np.asarray((distance < 70) & (distance > 30))


def iou(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    return float(np.logical_and(one, other).sum() / np.logical_or(one, other).sum())


SHAPES = {
    "blobs": blobs(0),
    "ring": ring(),
    "dots": np.random.default_rng(1).random((40, 50)) < 0.3,
    "line": np.eye(20, dtype=np.bool_),
    "whole image": np.ones((20, 30), np.bool_),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("on_pixels", [False, True])
def test_polygons_cover_the_mask(name: str, on_pixels: bool) -> None:
    mask, draw = SHAPES[name], draw_labelme if on_pixels else draw_coco
    drawn = np.zeros_like(mask)
    for polygon in find_outlines(mask, draw, on_pixels=on_pixels):
        assert len(polygon) >= 3
        drawn |= draw(polygon, *mask.shape)
    assert iou(drawn, mask) >= 0.99


def test_a_disc_is_simplified() -> None:
    """Its outline of about 900 pixels needs few points at a tolerance of one pixel."""
    disc = np.hypot(*np.mgrid[-150:150, -150:150]) < 140
    (polygon,) = find_outlines(disc, draw_coco, on_pixels=False)
    assert 10 < len(polygon) < 60


@pytest.mark.parametrize("name", SHAPES)
def test_pycocotools_reads_the_polygons(name: str) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    mask = SHAPES[name]
    rings = [polygon.ravel().tolist() for polygon in find_outlines(mask, draw_coco, on_pixels=False)]
    read = coco.decode(coco.merge(coco.frPyObjects(rings, *mask.shape)))
    assert iou(read, mask) >= (0.99 if name in ("blobs", "ring") else 0.9)  # it rounds to fifths of a pixel


def predicted(folder: Path, names: tuple[str, ...], probs: dict[str, NDArray[np.float32]]) -> list[str]:
    """Writes the files of images, and returns the lines of the table."""
    files = SegmentationFiles(
        folder=folder / "out",
        kinds=frozenset({"labelme", "mask"}),
        classes=names,
        colors=np.full((len(names), 3), 99, np.uint8),
        threshold=0.5,
        draw_coco=draw_coco,
        draw_labelme=draw_labelme,
    )
    lines = []
    for name, prob in probs.items():
        path = save(folder / "images" / f"{name}.png", noise(1, *prob.shape[1:]))
        line = files.write(prob, SourceImage(name=name, path=str(path), size=prob.shape[1:], pixels=None))  # type: ignore[arg-type]
        lines.append(str(line))
    return lines


def converted(found: AnnotationSet, out: Path) -> None:
    names = ["background", *found.labels]
    numbers = {name: number for number, name in enumerate(names)}
    write_set(found.images, out, Converter(numbers=numbers), names=names, overwrite=False, workers=0)


@pytest.mark.parametrize("names", [("dog",), ("background", "dog", "cat")])
def test_both_formats_are_read_back(names: tuple[str, ...], tmp_path: Path) -> None:
    """The imported masks equal the written ones up to the simplification, class by class."""
    probs = {}
    for seed, name in enumerate(("a", "deep/b")):
        first, second = blobs(seed).astype(np.float32), blobs(seed + 9).astype(np.float32)
        several = np.stack([np.full_like(first, 0.5), first, second * np.float32(0.9)])
        probs[name] = first[None] if len(names) == 1 else several
    lines = predicted(tmp_path, names, probs)
    with (tmp_path / "annotations.json").open("wb") as file:
        join_coco(names)(lambda: (f"{line}\n".encode() for line in lines), file)
    content = json.loads((tmp_path / "annotations.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in content["categories"]] == [name for name in names if name != "background"]
    ids = [one["id"] for one in content["annotations"]]
    assert len(ids) == len(set(ids)) > 2
    assert {one["image_id"] for one in content["annotations"]} == {1, 2}
    converted(read_coco(tmp_path / "annotations.json", tmp_path / "images"), tmp_path / "coco")
    converted(read_labelme(tmp_path / "out/labelme", None), tmp_path / "labelme")
    for name in probs:
        with Image.open(tmp_path / f"out/mask/{name}.png") as image:
            wanted = np.asarray(image)
        for format_name in ("coco", "labelme"):
            with Image.open(tmp_path / f"{format_name}/masks/{name}.png") as image:
                read = np.asarray(image)
            labels = ["background", *([*names] if len(names) == 1 else sorted(names[1:]))]
            for number, label in enumerate(names):
                if label != "background":
                    value = 255 if len(names) == 1 else number
                    own = labels.index(label) if format_name == "labelme" else max(1, number)
                    least = 0.99 if len(names) == 1 else 0.985  # polygons of two classes overlap a little
                    assert iou(read == own, wanted == value) >= least, (format_name, name, label)


def test_a_mask_without_objects_has_no_polygon(tmp_path: Path) -> None:
    (line,) = predicted(tmp_path, ("dog",), {"a": np.zeros((1, 20, 30), np.float32)})
    assert json.loads(line) == [{"file_name": "a.png", "height": 20, "width": 30}, []]
    assert json.loads((tmp_path / "out/labelme/a.json").read_text(encoding="utf-8"))["shapes"] == []
