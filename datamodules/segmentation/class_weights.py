"""Weights of classes from how often they occur, by median-frequency balancing (Eigen and Fergus 2015)."""

from collections.abc import Iterable, Mapping
from statistics import median

from datamodules.segmentation.label_map import IGNORE


def median_frequency_weights(masks: Iterable[Mapping[int, int]], *, classes: int) -> list[float]:
    """Computes ``median frequency / frequency`` for each class.

    The frequency of a class is its number of pixels divided by the number of all pixels of the images in which it
    occurs. Ignored pixels are not counted. A class that never occurs has the weight 1.

    Args:
        masks: pixels by class number, for each mask.
        classes: number of classes.

    Returns:
        One weight per class.
    """
    own, total = [0] * classes, [0] * classes
    for mask in masks:
        counted = {number: pixels for number, pixels in mask.items() if number != IGNORE and pixels}
        for number, pixels in counted.items():
            own[number] += pixels
            total[number] += sum(counted.values())
    frequencies = {number: own[number] / total[number] for number in range(classes) if own[number]}
    middle = median(frequencies.values()) if frequencies else 1.0
    return [middle / frequencies[number] if number in frequencies else 1.0 for number in range(classes)]
