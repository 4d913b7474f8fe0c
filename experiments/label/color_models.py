"""The colors of a region and of the rest as Gaussian mixtures, and the graph cut between them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.shapes import Mask

_COMPONENTS = 5  # fixed in OpenCV's GrabCut
_SAMPLES = 3000  # pixels of a model: k-means of all of them would take most of the time
_ROUNDS = 6  # of k-means
_NOISE = 4.0  # variance added to that of a component, in squared gray levels
_Model = NDArray[np.float64]  # (1, 65): weights, means and covariances of the components, as OpenCV stores them


@dataclass(frozen=True)
class ColorModels:
    """Gaussian mixtures of the colors of a class and of the rest.

    Args:
        inside: of the class.
        outside: of the rest.
    """

    inside: _Model
    outside: _Model

    @classmethod
    def of(cls, image: NDArray[np.uint8], inside: Mask) -> "ColorModels":
        """Learns both.

        Args:
            image: ``(H, W, 3)``.
            inside: ``(H, W)``, pixels of the class; neither all nor none.
        """
        return cls(_learn(image[inside]), _learn(image[~inside]))

    def cut(self, image: NDArray[np.uint8], trimap: NDArray[np.uint8]) -> Mask:
        """Divides an image by a graph cut (Rother, Kolmogorov and Blake 2004), with these colors.

        Args:
            image: ``(H, W, 3)``.
            trimap: ``(H, W)`` of OpenCV's ``GC_`` values; not changed.

        Returns:
            The pixels of the class.
        """
        result = trimap.copy()
        outside, inside = self.outside.copy(), self.inside.copy()
        cv2.grabCut(image, result, (0, 0, 0, 0), outside, inside, 1, cv2.GC_EVAL_FREEZE_MODEL)
        return np.asarray(np.isin(result, (cv2.GC_FGD, cv2.GC_PR_FGD)))

    def overlap(self, image: NDArray[np.uint8], inside: Mask) -> float:
        """Fraction of pixels that are more likely on the other side by their colors, the mean of both sides.

        Args:
            image: ``(H, W, 3)``.
            inside: ``(H, W)``, pixels of the class; neither all nor none.
        """
        first, second = _sample(image[inside]), _sample(image[~inside])
        missed = _log_density(self.inside, first) < _log_density(self.outside, first)
        spread = _log_density(self.inside, second) > _log_density(self.outside, second)
        return float(missed.mean() + spread.mean()) / 2


def _sample(colors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """At most ``_SAMPLES`` of colors ``(N, 3)``, evenly spaced."""
    chosen = np.linspace(0, len(colors) - 1, min(len(colors), _SAMPLES)).astype(np.int64)
    return colors[chosen].astype(np.float32)


def _log_density(model: _Model, colors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of the density of a mixture at colors ``(N, 3)``."""
    weights, rest = model[0, :_COMPONENTS], model[0, _COMPONENTS:]
    means, covariances = rest[: 3 * _COMPONENTS].reshape(-1, 3), rest[3 * _COMPONENTS :].reshape(-1, 3, 3)
    used = weights > 0
    away = colors[None] - means[used, None]  # (K, N, 3)
    distance = (away @ np.linalg.inv(covariances[used]) * away).sum(axis=-1)
    scale = np.log(weights[used]) - 0.5 * np.linalg.slogdet(2 * np.pi * covariances[used])[1]
    return np.asarray(np.logaddexp.reduce(scale[:, None] - 0.5 * distance, axis=0))


def _learn(colors: NDArray[np.uint8]) -> _Model:
    """Fits a mixture to colors ``(N, 3)``."""
    samples = _sample(colors)
    count = min(_COMPONENTS, len(samples))
    cv2.setRNGSeed(0)  # k-means chooses its first centers at random
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, _ROUNDS, 0.0)
    _, labels, _ = cv2.kmeans(samples, count, np.empty(0, np.int32), criteria, 1, cv2.KMEANS_PP_CENTERS)
    weights, means = np.zeros(_COMPONENTS), np.zeros((_COMPONENTS, 3))
    covariances = np.tile(_NOISE * np.eye(3), (_COMPONENTS, 1, 1))
    for number in range(count):
        own = samples[labels[:, 0] == number]
        if len(own):
            weights[number], means[number] = len(own) / len(samples), own.mean(axis=0)
            covariances[number] += np.cov(own.T, bias=True)
    return np.concatenate([weights, means.ravel(), covariances.ravel()])[None]
