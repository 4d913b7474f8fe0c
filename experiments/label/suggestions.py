"""Predictions of the network for images that nobody has finished, and its doubt."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.io.atomic_file import atomic_file
from experiments.label.label_maps import LabelMap
from experiments.label.snapping import guided_filter

Probs = NDArray[np.float32]  # (C + 1, h, w) in [0, 1], background first, summing to 1
Bytes = NDArray[np.uint8]


def write_suggestion(path: Path, probs: Probs) -> None:
    """Writes a prediction at the size of the network, in 8 bits.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_file(path) as file:
        np.savez_compressed(file, probs=np.rint(probs * 255).astype(np.uint8))


def read_suggestion(path: Path) -> Bytes | None:
    """Reads the probabilities of a prediction, ``(C + 1, h, w)`` times 255; ``None`` if there is none."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return np.asarray(stored["probs"], np.uint8)
    except (FileNotFoundError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def with_background(probs: Probs) -> Probs:
    """Adds the background to the probabilities of one class; those of several have it already.

    Args:
        probs: ``(C, h, w)`` as a segmentation network returns them.
    """
    return np.concatenate([1 - probs, probs]) if len(probs) == 1 else probs


def doubt_of(probs: Probs, mirrored: Probs) -> float:
    """Measures how unsure a network is of an image.

    Args:
        probs: ``(C + 1, h, w)`` probabilities.
        mirrored: those of the mirrored image, mirrored back.

    Returns:
        The mean entropy of the averaged probabilities, relative to the largest possible, and the mean of half the
        absolute difference of both predictions: their mean, from 0 to 1.

    >>> sure, unsure = np.array([[[0.0]], [[1.0]]]), np.array([[[0.5]], [[0.5]]])
    >>> doubt_of(sure, sure), doubt_of(unsure, unsure), doubt_of(sure, 1 - sure)
    (0.0, 0.5, 1.0)
    """
    mean = (probs + mirrored) / 2
    entropy = -np.sum(mean * np.log(np.clip(mean, 1e-12, 1)), axis=0) / np.log(len(mean))
    difference = np.abs(probs - mirrored).sum(axis=0) / 2
    return float((entropy.mean() + difference.mean()) / 2) + 0.0


def enlarge(probs: Bytes, image: Bytes) -> LabelMap:
    """Decides the class of every pixel of an image, with outlines that follow the image's edges.

    Args:
        probs: ``(C + 1, h, w)``, probabilities times 255.
        image: ``(H, W, 3)``.

    Returns:
        ``(H, W)`` class numbers, 0 background.
    """
    height, width = image.shape[:2]
    scale = max(height / probs.shape[1], width / probs.shape[2])
    guide = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255, np.float32)
    best, labels = np.full((height, width), -1.0, np.float32), np.zeros((height, width), np.uint8)
    for number, prob in enumerate(probs):
        soft = cv2.resize(prob.astype(np.float32) / 255, (width, height), interpolation=cv2.INTER_LINEAR)
        if scale > 1:
            soft = guided_filter(guide, np.asarray(soft, np.float32), radius=max(1, round(scale)))
        wins = soft > best
        best[wins] = soft[wins]
        labels[wins] = number
    return labels
