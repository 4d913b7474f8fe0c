"""Mean and standard deviation of each channel over the training images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datamodules.cache.cache import ImageCache
from datamodules.cache.check_results import read_result, result_path, write_result
from datamodules.io.bands import BandLayout
from datamodules.segmentation.samples import Sample

_LEAST_STD = 1 / 65535  # of a channel without contrast, which would be divided by 0


def load_statistics(
    samples: Sequence[Sample], *, layout: BandLayout, cache: ImageCache, size: int, whole: bool, results: Path
) -> tuple[list[float], list[float]]:
    """Reads the statistics that an earlier run measured, or measures them.

    Args:
        samples: at least one.
        layout: channels of the images.
        cache: returns images at ``size``.
        size: side in pixels.
        whole: whether images keep their proportions.
        results: folder of stored results.

    Returns:
        See ``measure_channels``.
    """
    files = [path for sample in samples for path in layout.files(sample.image)]
    path = result_path(results, files, about=f"statistics {layout} {size} {whole}")
    stored = read_result(path)
    if isinstance(stored, dict) and {len(stored.get(key, ())) for key in ("mean", "std")} == {layout.channels}:
        return stored["mean"], stored["std"]
    mean, std = measure_channels(samples, cache=cache, size=size, whole=whole)
    write_result(path, {"mean": mean, "std": std})
    return mean, std


def statistics_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """Formats the statistics for reports.

    >>> statistics_text([0.5, 0.031], [0.25, 0.0134])
    '0.5 (0.25), 0.031 (0.0134)'
    """
    return ", ".join(f"{m:.3g} ({s:.3g})" for m, s in zip(mean, std, strict=True))


def measure_channels(
    samples: Sequence[Sample], *, cache: ImageCache, size: int, whole: bool
) -> tuple[list[float], list[float]]:
    """Measures the images at ``size``, over all pixels.

    Args:
        samples: at least one.
        cache: returns images at that size.
        size: side in pixels.
        whole: whether images keep their proportions.

    Returns:
        Mean and standard deviation of each channel, for values in [0, 1].
    """
    total, squares, pixels = np.zeros(1), np.zeros(1), 0
    for sample in tqdm(samples, desc="measuring channels", unit="file", delay=1.0):
        values = sample.pixels(cache, size, whole=whole)
        scaled = values.reshape(-1, values.shape[2]).astype(np.float64) / np.iinfo(values.dtype).max
        total = total + scaled.sum(axis=0)
        squares = squares + (scaled**2).sum(axis=0)
        pixels += len(scaled)
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, _LEAST_STD**2))
    return mean.tolist(), std.tolist()
