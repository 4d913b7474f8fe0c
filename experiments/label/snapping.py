"""Snaps a rough stroke to the outline of what it was drawn on.

GrabCut (Rother, Kolmogorov and Blake 2004) divides the surroundings of the stroke into the class and the rest: first a
coarse copy, then a band around the outline of a finer one. It starts from the stroke, the labels so far and the
probabilities of a network. Only the region that the stroke touches changes, and only in its direction: a stroke that
adds never removes. The outline is then refined at full size by a guided filter (He, Sun and Tang 2010).
"""

import cv2
import numpy as np

from experiments.label.color_models import ColorModels
from experiments.label.marking import Copy, fix, is_inside, mark
from experiments.label.scene import Floats, Image, Scene
from experiments.label.shapes import Mask, holes, touching

_UNSURE = 5  # half the width of the band that is divided again, in pixels of the coarse copy
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
    marked = mark(scene, stroke, radius=radius, add=add)
    coarse, fine, models = marked.coarse, marked.fine, marked.models
    divided = is_inside(marked.trimap)
    if models is not None:  # one iteration: a second one shrinks objects of several colors
        divided = models.cut(coarse.scene.image, marked.trimap)
        if fine.stroke.shape != coarse.stroke.shape:
            divided = divide_band(fine, divided, models, add=add)
    else:
        fine = coarse
    small, low = fine.scene, fine.stroke
    change = touching((divided & ~small.current if add else small.current & ~divided) | low, low)
    if add:
        change |= holes(change | small.current) & ~holes(small.current) & ~small.outside
    box = marked.box
    refined = refine(scene.image[box], small.image, change) | stroke[box]
    after = scene.current.copy()
    after[box] = (after[box] | refined) if add else (after[box] & ~refined)
    return after


def divide_band(copy: Copy, region: Mask, models: ColorModels, *, add: bool = True) -> Mask:
    """Divides the surroundings of an outline again, at a larger size.

    Args:
        copy: of that size.
        region: ``(h, w)``, found at a smaller size.
        models: colors of the class and of the rest.
        add: whether the stroke belongs to the class.
    """
    image = copy.scene.image
    soft = cv2.resize(region.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    inside = (soft >= 0.5).astype(np.uint8)
    width = round(_UNSURE * image.shape[1] / region.shape[1])
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    trimap = np.where(inside, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    trimap[cv2.erode(inside, window) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(inside, window) == 0] = cv2.GC_BGD
    fix(trimap, copy.scene, copy.stroke, add)
    return models.cut(image, trimap)


def refine(image: Image, small: Image, region: Mask) -> Mask:
    """Enlarges a region to the size of an image, and moves its outline to the image's edges.

    The coefficients of the guided filter are those of the reduced image, enlarged (He and Sun 2015).

    Args:
        image: ``(H, W, 3)``.
        small: ``(h, w, 3)``, the reduced image; nothing is refined if it has the same size.
        region: ``(h, w)``.

    Returns:
        ``(H, W)``.
    """
    if image.shape == small.shape:
        return region

    def enlarge(values: Floats) -> Floats:
        return np.asarray(cv2.resize(values, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    source = region.astype(np.float32)
    slope, offset = guided_coefficients(_gray(small), source, radius=_BAND)
    filtered = enlarge(slope) * _gray(image) + enlarge(offset)
    band = enlarge(np.asarray(cv2.blur(source, (2 * _BAND + 1, 2 * _BAND + 1)), np.float32))
    return np.asarray(np.where((band > 0.02) & (band < 0.98), filtered, band) >= 0.5)


def guided_filter(guide: Floats, source: Floats, *, radius: int) -> Floats:
    """Filters ``source`` so that its edges follow those of ``guide`` (He, Sun and Tang 2010, algorithm 1).

    Args:
        guide: ``(H, W)`` gray values in [0, 1].
        source: ``(H, W)``.
        radius: half the side of the window in pixels.
    """
    slope, offset = guided_coefficients(guide, source, radius=radius)
    return np.asarray(slope * guide + offset, np.float32)


def guided_coefficients(guide: Floats, source: Floats, *, radius: int) -> tuple[Floats, Floats]:
    """Factor and summand of the gray value that the guided filter computes for every pixel, both ``(H, W)``."""
    window = (2 * radius + 1, 2 * radius + 1)
    mean, mean_source = cv2.blur(guide, window), cv2.blur(source, window)
    variance = cv2.blur(guide * guide, window) - mean * mean
    slope = (cv2.blur(guide * source, window) - mean * mean_source) / (variance + _EPS)
    offset = mean_source - slope * mean
    return np.asarray(cv2.blur(slope, window), np.float32), np.asarray(cv2.blur(offset, window), np.float32)


def _gray(image: Image) -> Floats:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255, np.float32)
