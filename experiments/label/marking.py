"""What a stroke marks in a reduced copy of its surroundings, and the colors that follow from it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.color_models import ColorModels
from experiments.label.scene import Box, Scene, resize_mask
from experiments.label.shapes import Mask

Trimap = NDArray[np.uint8]  # OpenCV's GC_ values
#: Longest sides of the copies that are divided: the whole of the first, of the second a band around the outline.
COARSE_SIDE, MAX_SIDE = 224, 512
_MARGIN = 2.0  # beyond the reach, in radii: known pixels for the color models


@dataclass(frozen=True)
class Zones:
    """Distances from a stroke, in radii of the brush.

    Args:
        near: up to which a stroke probably marks its class.
        reach: beyond which nothing changes.
    """

    near: float
    reach: float


#: Of a stroke on something new; the second ones are taken if within the first ones the colors of the class and of the
#: rest overlap: a class without colors of its own would spread over whatever lies around it.
WIDE, TIGHT = Zones(2.5, 4.0), Zones(1.5, 3.0)
#: Fraction of the pixels that are more likely on the other side, by their colors.
_MOST_OVERLAP = 0.25
#: Of strokes that correct an outline: those beside labels of the class, and those that take away.
ADDITION, REMOVAL = Zones(1.0, 2.0), Zones(1.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A reduced copy of the surroundings of a stroke.

    Args:
        scene: what is known.
        stroke: ``(h, w)``, pixels of the stroke.
    """

    scene: Scene
    stroke: Mask

    def reduce(self, longest: int) -> "Copy":
        """Returns a copy whose sides have at most ``longest`` pixels."""
        shape = self.stroke.shape
        scale = min(1.0, longest / max(shape))
        size = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
        return Copy(scene=self.scene.resize(size), stroke=_resize_stroke(self.stroke, size))


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What a stroke marks.

    Args:
        box: its surroundings in the image.
        fine: a copy of them, at most ``MAX_SIDE`` wide and high.
        coarse: a smaller one, at most ``COARSE_SIDE``.
        trimap: what is certain and what is likely in the smaller one.
        models: colors of the class and of the rest; ``None`` if there is only one of them.
    """

    box: Box
    fine: Copy
    coarse: Copy
    trimap: Trimap
    models: ColorModels | None


def mark(scene: Scene, stroke: Mask, *, radius: float, add: bool) -> Marked:
    """Marks what a stroke says of its surroundings.

    Args:
        scene: what is known.
        stroke: ``(H, W)``, at least one pixel.
        radius: of the brush, in pixels.
        add: whether the stroke belongs to the class.
    """
    if not add:
        return _mark(scene, stroke, radius, add, REMOVAL)
    if _lies_beside(scene.current, stroke, radius):
        return _mark(scene, stroke, radius, add, ADDITION)
    wide = _mark(scene, stroke, radius, add, WIDE)
    if wide.models is None or wide.models.overlap(wide.coarse.scene.image, is_inside(wide.trimap)) <= _MOST_OVERLAP:
        return wide
    return _mark(scene, stroke, radius, add, TIGHT)


def is_inside(trimap: Trimap) -> Mask:
    """The pixels that certainly or probably belong to the class."""
    return np.asarray(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def fix(trimap: Trimap, scene: Scene, stroke: Mask, add: bool) -> None:
    """Sets what a person has drawn, in place."""
    trimap[scene.inside] = cv2.GC_FGD
    trimap[scene.outside] = cv2.GC_BGD
    trimap[stroke] = cv2.GC_FGD if add else cv2.GC_BGD


def _mark(scene: Scene, stroke: Mask, radius: float, add: bool, zones: Zones) -> Marked:
    box = _box(stroke, round((zones.reach + _MARGIN) * radius) + 8)
    fine = Copy(scene=scene.crop(box), stroke=np.ascontiguousarray(stroke[box])).reduce(MAX_SIDE)
    coarse = fine.reduce(COARSE_SIDE)
    small, low = coarse.scene, coarse.stroke
    radius = max(1.0, radius * max(low.shape) / max(stroke[box].shape))
    distance = cv2.distanceTransform((~low).astype(np.uint8), cv2.DIST_L2, 3)
    likely = small.current if small.prob is None else small.current | (small.prob > 0.5)
    near = distance <= zones.near * radius
    likely = (likely | near) if add else (likely & ~near)
    trimap = np.where(likely, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    far = distance > zones.reach * radius
    trimap[far] = np.where(small.current[far], np.uint8(cv2.GC_FGD), np.uint8(cv2.GC_BGD))
    fix(trimap, small, low, add)
    inside = is_inside(trimap)
    one_sided = inside.all() or not inside.any()
    models = None if one_sided else ColorModels.of(small.image, inside)
    return Marked(box=box, fine=fine, coarse=coarse, trimap=trimap, models=models)


def _resize_stroke(stroke: Mask, size: tuple[int, int]) -> Mask:
    """Resizes a stroke, of which something is left."""
    low = resize_mask(stroke, size)
    if not low.any():  # thinner than a pixel of the copy
        rows, columns = np.nonzero(stroke)
        low[rows * size[0] // stroke.shape[0], columns * size[1] // stroke.shape[1]] = True
    return low


def _lies_beside(current: Mask, stroke: Mask, radius: float) -> bool:
    """Whether a stroke comes within a radius of what is labeled."""
    box = _box(stroke, round(radius) + 2)
    distance = cv2.distanceTransform((~stroke[box]).astype(np.uint8), cv2.DIST_L2, 3)
    return bool((current[box] & (distance <= radius)).any())


def _box(mask: Mask, margin: int) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)),
    )
