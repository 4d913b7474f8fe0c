"""Snaps a rough stroke to the outline of what it was drawn on.

GrabCut (Rother, Kolmogorov and Blake 2004) divides the surroundings of the stroke into the class and the rest: first a
coarse copy, then a band around the outline of a finer one. It starts from the stroke, the labels so far and the
probabilities of a network. Only the region that the stroke touches changes, and only in its direction: a stroke that
adds never removes. The outline is then refined at full size by a guided filter (He, Sun and Tang 2010).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.color_models import ColorModels
from experiments.label.scene import Box, Floats, Image, Scene, resize_mask
from experiments.label.shapes import Mask, holes, touching

#: Longest sides of the copies that are divided: the whole of the first, of the second a band around the outline.
COARSE_SIDE, MAX_SIDE = 320, 512
#: In radii of the brush: a stroke probably marks its class within the first distance, and changes nothing beyond the
#: second.
_NEAR, _REACH = 3.0, 6.0
_MARGIN = 2.0  # beyond the reach, in radii: known pixels for the color models
_UNSURE = 3  # half the width of the band that is divided again, in pixels of the coarse copy
#: Half the width of the band in which the outline is refined, in pixels of the reduced copy.
_BAND = 2
_EPS = 1e-3  # squared contrast below which the guided filter smooths, for gray values in [0, 1]


def snap(scene: Scene, stroke: Mask, *, radius: float, add: bool = True) -> Mask:
    """Returns the pixels of the class after a stroke.

    Args:
        scene: what is known.
        stroke: pixels of the stroke, at least one.
        radius: of the brush, in pixels.
        add: whether the stroke marks the class; otherwise what is not the class.

    Returns:
        ``(H, W)``; it contains all pixels of an adding stroke and none of a removing one.
    """
    box = _box(stroke, round((_REACH + _MARGIN) * radius) + 8)
    part, drawn = scene.crop(box), np.ascontiguousarray(stroke[box])
    coarse, scale = _reduced_size(drawn.shape, COARSE_SIDE)
    small, low = part.resize(coarse), _resize_stroke(drawn, coarse)
    divided, models = divide(small, low, radius=max(1.0, radius * scale), add=add)
    fine, fine_scale = _reduced_size(drawn.shape, MAX_SIDE)
    if models is not None and fine != coarse:
        small, low = part.resize(fine), _resize_stroke(drawn, fine)
        divided = divide_band(small, low, divided, models, width=round(_UNSURE * fine_scale / scale), add=add)
    change = touching((divided & ~small.current if add else small.current & ~divided) | low, low)
    if add:
        change |= holes(change | small.current) & ~holes(small.current) & ~small.outside
    refined = refine(part.image, change, fine_scale) | drawn
    after = scene.current.copy()
    after[box] = (after[box] | refined) if add else (after[box] & ~refined)
    return after


def divide(scene: Scene, stroke: Mask, *, radius: float, add: bool = True) -> tuple[Mask, ColorModels | None]:
    """Divides an image into the class and the rest by GrabCut.

    Args:
        scene: at the size of the computation.
        stroke: pixels of the stroke.
        radius: of the brush, in pixels.
        add: whether the stroke belongs to the class.

    Returns:
        The pixels of the class, beyond the reach of the stroke the same as before; and the color models, ``None`` if
        nothing was left to divide.
    """
    distance = cv2.distanceTransform((~stroke).astype(np.uint8), cv2.DIST_L2, 3)
    likely = scene.current if scene.prob is None else scene.current | (scene.prob > 0.5)
    near = distance <= _NEAR * radius
    likely = (likely | near) if add else (likely & ~near)
    trimap = np.where(likely, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    far = distance > _REACH * radius
    trimap[far] = np.where(scene.current[far], np.uint8(cv2.GC_FGD), np.uint8(cv2.GC_BGD))
    _fix(trimap, scene, stroke, add)
    inside = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.all() or not inside.any():
        return np.asarray(inside), None
    models = ColorModels.of(scene.image, inside)  # one iteration: a second one shrinks objects of several colors
    return models.cut(scene.image, trimap), models


def divide_band(scene: Scene, stroke: Mask, region: Mask, models: ColorModels, *, width: int, add: bool = True) -> Mask:
    """Divides the surroundings of an outline again, at a larger size.

    Args:
        scene: at the larger size.
        stroke: pixels of the stroke at that size.
        region: ``(h, w)``, found at a smaller size.
        models: colors of the class and of the rest.
        width: pixels on either side of the outline that may change.
        add: whether the stroke belongs to the class.
    """
    size = (scene.image.shape[1], scene.image.shape[0])
    soft = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    inside = (soft >= 0.5).astype(np.uint8)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    trimap = np.where(inside, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    trimap[cv2.erode(inside, window) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(inside, window) == 0] = cv2.GC_BGD
    _fix(trimap, scene, stroke, add)
    return models.cut(scene.image, trimap)


def refine(image: Image, region: Mask, scale: float) -> Mask:
    """Enlarges a region to the size of an image, and moves its outline to the image's edges.

    Args:
        image: ``(H, W, 3)``.
        region: ``(h, w)``, of an image reduced by ``scale``.
        scale: width of the reduced image relative to the image's; nothing is refined at 1.

    Returns:
        ``(H, W)``.
    """
    if scale >= 1:
        return region
    soft = np.asarray(cv2.resize(region.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    radius = max(1, round(_BAND / scale))
    guide = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255, np.float32)
    band = cv2.blur(soft, (2 * radius + 1, 2 * radius + 1))
    filtered = guided_filter(guide, np.asarray(soft, np.float32), radius=radius)
    return np.asarray(np.where((band > 0.02) & (band < 0.98), filtered >= 0.5, soft >= 0.5))


def guided_filter(guide: Floats, source: Floats, *, radius: int) -> Floats:
    """Filters ``source`` so that its edges follow those of ``guide`` (He, Sun and Tang 2010, algorithm 1).

    Args:
        guide: ``(H, W)`` gray values in [0, 1].
        source: ``(H, W)``.
        radius: half the side of the window in pixels.
    """
    window = (2 * radius + 1, 2 * radius + 1)
    mean, mean_source = cv2.blur(guide, window), cv2.blur(source, window)
    variance = cv2.blur(guide * guide, window) - mean * mean
    slope = (cv2.blur(guide * source, window) - mean * mean_source) / (variance + _EPS)
    offset = mean_source - slope * mean
    return np.asarray(cv2.blur(slope, window) * guide + cv2.blur(offset, window), np.float32)


def _fix(trimap: NDArray[np.uint8], scene: Scene, stroke: Mask, add: bool) -> None:
    trimap[scene.inside] = cv2.GC_FGD
    trimap[scene.outside] = cv2.GC_BGD
    trimap[stroke] = cv2.GC_FGD if add else cv2.GC_BGD


def _reduced_size(shape: tuple[int, ...], longest: int) -> tuple[tuple[int, int], float]:
    """Returns height, width and scale of a copy whose sides have at most ``longest`` pixels."""
    scale = min(1.0, longest / max(shape))
    return (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))), scale


def _resize_stroke(stroke: Mask, size: tuple[int, int]) -> Mask:
    low = resize_mask(stroke, size)
    if not low.any():  # thinner than a pixel of the copy
        rows, columns = np.nonzero(stroke)
        low[rows * size[0] // stroke.shape[0], columns * size[1] // stroke.shape[1]] = True
    return low


def _box(mask: Mask, margin: int) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)),
    )
