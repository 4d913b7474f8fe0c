"""Snaps a rough stroke to the outline of what it was drawn on.

GrabCut (Rother, Kolmogorov and Blake 2004) divides the surroundings of the stroke into the class and the rest: first a
coarse copy, then a band around the outline of a finer one. It starts from the stroke, the labels so far and the
probabilities of a network. Only the region that the stroke touches changes, and only in its direction: a stroke that
adds never removes. The outline is then refined at full size by a guided filter (He, Sun and Tang 2010).
"""

import cv2
import numpy as np

from experiments.label.color_models import ColorModels
from experiments.label.marking import fix, is_inside, mark, reduced_size, resize_stroke
from experiments.label.scene import Floats, Image, Scene
from experiments.label.shapes import Mask, holes, touching

#: Longest sides of the copies that are divided: the whole of the first, of the second a band around the outline.
COARSE_SIDE, MAX_SIDE = 320, 512
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
    marked = mark(scene, stroke, radius=radius, add=add, side=COARSE_SIDE)
    part, drawn = scene.crop(marked.box), np.ascontiguousarray(stroke[marked.box])
    # one iteration: a second one shrinks objects of several colors
    divided = (
        is_inside(marked.trimap) if marked.models is None else marked.models.cut(marked.scene.image, marked.trimap)
    )
    small, low, scale = marked.scene, marked.stroke, marked.scale
    fine, fine_scale = reduced_size(drawn.shape, MAX_SIDE)
    if marked.models is not None and fine_scale > scale:
        small, low = part.resize(fine), resize_stroke(drawn, fine)
        divided = divide_band(small, low, divided, marked.models, width=round(_UNSURE * fine_scale / scale), add=add)
        scale = fine_scale
    change = touching((divided & ~small.current if add else small.current & ~divided) | low, low)
    if add:
        change |= holes(change | small.current) & ~holes(small.current) & ~small.outside
    refined = refine(part.image, change, scale) | drawn
    after = scene.current.copy()
    box = marked.box
    after[box] = (after[box] | refined) if add else (after[box] & ~refined)
    return after


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
    fix(trimap, scene, stroke, add)
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
