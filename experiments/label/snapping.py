"""Snaps a rough stroke to the outline of what it was drawn on.

GrabCut (Rother, Kolmogorov and Blake 2004) divides the surroundings of the stroke, on a reduced copy, into the class
and the rest. It starts from the stroke, the labels so far and the probabilities of a network. Only the region that the
stroke touches changes, and only in its direction: a stroke that adds never removes. The outline is then refined at full
size by a guided filter (He, Sun and Tang 2010).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.shapes import Mask, holes, touching

Image = NDArray[np.uint8]  # (H, W, 3) RGB
Floats = NDArray[np.float32]
Box = tuple[slice, slice]

#: Longest side of the copy that is divided. GrabCut takes time in proportion to its pixels.
MAX_SIDE = 256
_ITERATIONS = 1
#: In radii of the brush: a stroke probably marks its class within the first distance, and changes nothing beyond the
#: second.
_NEAR, _REACH = 3.0, 6.0
_MARGIN = 2.0  # beyond the reach, in radii: known pixels for the color models
#: Half the width of the band in which the outline is refined, in pixels of the reduced copy.
_BAND = 2
_EPS = 1e-3  # squared contrast below which the guided filter smooths, for gray values in [0, 1]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is known of one class in an image; all arrays have the same height and width.

    Args:
        image: ``(H, W, 3)`` RGB.
        current: pixels of the class so far, labeled or suggested.
        inside: pixels that a person has labeled as the class.
        outside: pixels that a person has labeled as something else.
        prob: probability of the class by a network, ``None`` without one.
    """

    image: Image
    current: Mask
    inside: Mask
    outside: Mask
    prob: Floats | None = None

    def crop(self, box: Box) -> "Scene":
        """Returns a rectangle of the scene."""
        return Scene(
            image=self.image[box],
            current=self.current[box],
            inside=self.inside[box],
            outside=self.outside[box],
            prob=None if self.prob is None else self.prob[box],
        )

    def resize(self, size: tuple[int, int]) -> "Scene":
        """Returns the scene at another height and width."""
        return Scene(
            image=np.asarray(cv2.resize(self.image, size[::-1], interpolation=cv2.INTER_AREA), np.uint8),
            current=_resize_mask(self.current, size),
            inside=_resize_mask(self.inside, size),
            outside=_resize_mask(self.outside, size),
            prob=None if self.prob is None else np.asarray(cv2.resize(self.prob, size[::-1]), np.float32),
        )


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
    scale = min(1.0, MAX_SIDE / max(drawn.shape))
    size = (max(1, round(drawn.shape[0] * scale)), max(1, round(drawn.shape[1] * scale)))
    small, low = part.resize(size), _resize_mask(drawn, size)
    if not low.any():  # thinner than a pixel of the copy
        rows, columns = np.nonzero(drawn)
        low[rows * size[0] // drawn.shape[0], columns * size[1] // drawn.shape[1]] = True
    divided = divide(small, low, radius=max(1.0, radius * scale), add=add)
    change = touching((divided & ~small.current if add else small.current & ~divided) | low, low)
    if add:
        change |= holes(change | small.current) & ~holes(small.current) & ~small.outside
    refined = refine(part.image, change, scale) | drawn
    after = scene.current.copy()
    after[box] = (after[box] | refined) if add else (after[box] & ~refined)
    return after


def divide(scene: Scene, stroke: Mask, *, radius: float, add: bool = True) -> Mask:
    """Divides an image into the class and the rest by GrabCut.

    Args:
        scene: at the size of the computation.
        stroke: pixels of the stroke.
        radius: of the brush, in pixels.
        add: whether the stroke belongs to the class.

    Returns:
        The pixels of the class; beyond the reach of the stroke the same as before.
    """
    distance = cv2.distanceTransform((~stroke).astype(np.uint8), cv2.DIST_L2, 3)
    likely = scene.current if scene.prob is None else scene.current | (scene.prob > 0.5)
    near = distance <= _NEAR * radius
    likely = (likely | near) if add else (likely & ~near)
    trimap = np.where(likely, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
    far = distance > _REACH * radius
    trimap[far] = np.where(scene.current[far], np.uint8(cv2.GC_FGD), np.uint8(cv2.GC_BGD))
    trimap[scene.inside] = cv2.GC_FGD
    trimap[scene.outside] = cv2.GC_BGD
    trimap[stroke] = cv2.GC_FGD if add else cv2.GC_BGD
    inside = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if inside.all() or not inside.any():
        return np.asarray(inside)
    cv2.setRNGSeed(0)  # its color models start from k-means with random centers
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(scene.image, trimap, (0, 0, 0, 0), background, foreground, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return np.asarray(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)))


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


def _resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resizes a mask; a pixel is set if at least half of it is."""
    if mask.shape == size:
        return mask.copy()
    return np.asarray(cv2.resize(mask.astype(np.uint8) * 255, size[::-1], interpolation=cv2.INTER_AREA) >= 128)


def _box(mask: Mask, margin: int) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)),
    )
