"""Options of ``predict`` for segmentation: kinds of output, classes to cut out, outlines and cleaning."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from callbacks.prediction.outlines import Points
from callbacks.prediction.regions import Cleaning, cleaning_for
from callbacks.prediction.segmentation import KINDS
from datamodules.annotations.annotation_set import Region
from datamodules.annotations.polygons import LabelmeShape, Polygons
from datamodules.prediction.image_list import Listed
from experiments.cli.usage import UsageError, unknown
from models.segmentation.ensemble import SegmentationEnsemble

SUBMISSION, COCO = "submission", "coco"  # one file for all images
OUTPUTS = (*KINDS, COCO, SUBMISSION)
DEFAULT_OUTPUTS = ("mask", "cutout", "overlay")


def draw_coco(points: Points, height: int, width: int) -> NDArray[np.bool_]:
    """Draws a polygon as the import of COCO's files does."""
    return _draw(Polygons([points.ravel().tolist()]), height, width)


def draw_labelme(points: Points, height: int, width: int) -> NDArray[np.bool_]:
    """Draws a polygon as labelme's converters do."""
    return _draw(LabelmeShape("polygon", points.tolist()), height, width)


def make_cleaning(classes: Sequence[str], *, min_area: int, largest: int, fill_holes: bool) -> Cleaning:
    """Reads the options that clean masks by their regions.

    Raises:
        UsageError: for a negative number, or holes to fill in a mask without background.
    """
    try:
        return cleaning_for(classes, min_area=min_area, largest=largest, fill_holes=fill_holes)
    except ValueError as error:
        raise UsageError(f"--{error}") from error


def describe_average(net: nn.Module, *, size: int) -> str:
    """A line about the networks and sizes that are averaged; empty for a single network."""
    if not isinstance(net, SegmentationEnsemble):
        return ""
    sizes = " and ".join(str(round(size * scale)) for scale in net.scales)
    networks = "1 network" if len(net.nets) == 1 else f"{len(net.nets)} networks"
    return f"averaged over {networks} at the sizes {sizes} px"


def _draw(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    top, left, pixels = region.draw(height, width)
    mask = np.zeros((height, width), np.bool_)
    mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return mask


def choose_kinds(text: str | None, *, background: bool, classes: Sequence[str], cut: str | None) -> set[str]:
    """Reads ``--outputs``, or chooses the default.

    Raises:
        UsageError: for an output that does not exist, or outputs and options that do not go together.
    """
    several = len(classes) > 1
    if text is None:
        kinds = {"mask", "overlay"} if several and cut is None else set(DEFAULT_OUTPUTS)
        if background:
            kinds.add("composite")
    else:
        kinds = _words(text)
        if not kinds:
            raise UsageError(f"--outputs is empty: choose from {', '.join(OUTPUTS)}")
    for kind in sorted(kinds):
        if kind not in OUTPUTS:
            raise unknown("output", kind, OUTPUTS)
    if {SUBMISSION, COCO} <= kinds:
        raise UsageError("--outputs submission and coco are made in two runs: leave one of them out")
    if "composite" in kinds and not background:
        raise UsageError("--outputs composite needs an image to put behind: add --background FILE")
    if background and "composite" not in kinds:
        raise UsageError("--background is for composites: add composite to --outputs, or leave --background out")
    if several and cut is None and kinds & {"cutout", "composite"}:
        raise UsageError(f"which classes should cut-outs keep? Add --cut with some of: {', '.join(classes)}")
    return kinds


def cut_classes(text: str | None, classes: Sequence[str]) -> list[int]:
    """Reads ``--cut``: numbers of the classes that cut-outs keep.

    Raises:
        UsageError: for a class that does not exist.
    """
    if text is None:
        return [0]
    words = _words(text)
    for word in sorted(words):
        if word not in classes:
            raise unknown("class", word, classes)
    return [number for number, name in enumerate(classes) if name in words]


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",")} - {""}


def check_submission(images: Sequence[Listed], classes: Sequence[str]) -> None:
    """Refuses what Kaggle's table cannot express.

    Raises:
        UsageError: for several classes, or images of the same file name.
    """
    if len(classes) > 1:
        raise UsageError(f"a submission has one class; this network has {len(classes)}: {', '.join(classes)}")
    (name, times), *_ = Counter(listed.path.name for listed in images).most_common(1)
    if times > 1:
        raise UsageError(
            f"a submission names images by their file name only, and {times} are called '{name}': "
            "rename them, or predict their folders one at a time"
        )
