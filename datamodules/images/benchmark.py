"""A folder of test images as the field hands them around: HR files, with or without the LR files made from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.degradation import Degradation
from datamodules.images.pair_dataset import whole_multiple
from datamodules.index.pairs import list_images
from datamodules.index.problems import Problem, raise_problems
from datamodules.io.image import image_size, read_image
from datamodules.io.tensors import image_tensor
from datamodules.loading.randomness import Key, sample_seed

HIGH, LOW = "HR", "LR"
_WINDOW = 11  # side of SSIM's window
ADVICE = "Correct or remove these files, or name another --data.benchmark folder; nothing was measured."


@dataclass(frozen=True)
class TestImage:
    """One image of a benchmark.

    Args:
        name: path of the high one below the benchmark's folder, with ``/``.
        high: its file.
        low: the file of the low one; ``None`` where it is made here.
    """

    __test__ = False  # pytest takes every class called Test... for tests

    name: str
    high: Path
    low: Path | None


def find_benchmark(folder: Path, scale: int) -> list[TestImage]:
    """Finds the images of a benchmark for one magnification, and checks their sizes from their headers.

    A subfolder ``x2``, ``x4``, ... is taken for its magnification; other magnifications' are not looked into. Files
    ending in ``_HR`` and ``_LR`` (or lying in folders ``HR`` and ``LR``) are pairs; without any such names every
    image is a high one, and low ones are made from them.

    Args:
        folder: the benchmark.
        scale: the magnification.

    Returns:
        The images sorted by name.

    Raises:
        DataError: if there are none, or naming files without a partner, pairs whose sizes do not fit the scale, and
            images too small to be judged.
    """
    if not folder.is_dir():
        raise DataError(f"--data.benchmark {folder} is not a folder")
    place = folder / f"x{scale}" if (folder / f"x{scale}").is_dir() else folder
    if place == folder and (others := sorted(path.name for path in folder.glob("x[0-9]") if path.is_dir())):
        raise DataError(f"{folder} has images for {', '.join(others)} and none for x{scale}, which the network does")
    parts = [(path, *_key(path, place)) for path in list_images(place)]
    if not parts:
        raise DataError(f"{place} holds no images to measure on")
    if all(kind is None for _, _, kind in parts):
        raise_problems(place, _too_small([path for path, _, _ in parts], place, scale), ADVICE)
        return [TestImage(path.relative_to(place).as_posix(), path, None) for path, _, _ in parts]
    highs = {key: path for path, key, kind in parts if kind == HIGH}
    lows = {key: path for path, key, kind in parts if kind == LOW}
    problems = [
        Problem("image that is neither HR nor LR", path.relative_to(place).as_posix())
        for path, _, kind in parts
        if kind is None
    ]
    for here, there, wanted in ((highs, lows, LOW), (lows, highs, HIGH)):
        alone = [path for key, path in here.items() if key not in there] if lows else []
        problems += [Problem(f"image without its {wanted}", path.relative_to(place).as_posix()) for path in alone]
    problems += [
        Problem("pair that does not fit the scale", high.relative_to(place).as_posix(), misfit)
        for key, high in highs.items()
        if key in lows and (misfit := _misfit(high, lows[key], scale))
    ]
    problems += _too_small(highs.values(), place, scale)
    raise_problems(place, sorted(problems), ADVICE)
    return [TestImage(path.relative_to(place).as_posix(), path, lows.get(key)) for key, path in sorted(highs.items())]


def least_side(scale: int) -> int:
    """Gives the shorter side that SSIM needs: its window inside the border of ``scale`` pixels that is left out."""
    return _WINDOW + 2 * scale


class BenchmarkDataset(Dataset[dict[str, Any]]):
    """Whole images to be judged, as ``NativePairDataset`` gives them.

    Args:
        images: from ``find_benchmark``.
        scale: the magnification.
        degrade: makes the low ones that are not there.
        seed: of the degradation.
    """

    def __init__(self, images: Sequence[TestImage], *, scale: int, degrade: Degradation, seed: int) -> None:
        self._images, self._scale, self._degrade, self._seed = images, scale, degrade, seed

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Gives one pair; the epoch makes no difference.

        Raises:
            DataError: if a file cannot be read.
        """
        image = self._images[key.index]
        high, low = self._pair(image, sample_seed(self._seed, 0, key.index))
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": image.name}

    def _pair(self, image: TestImage, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        high = whole_multiple(read_image(image.high), self._scale)
        if image.low is None:
            return high, self._degrade(high, scale=self._scale, seed=seed)
        return high, read_image(image.low)


def _key(path: Path, root: Path) -> tuple[str, str | None]:
    """What a pair's two files have in common, and which of the two this is."""
    place = path.relative_to(root)
    for kind in (HIGH, LOW):
        if place.stem.endswith(f"_{kind}"):
            return place.with_name(place.stem.removesuffix(f"_{kind}")).as_posix(), kind
        if kind in place.parts[:-1]:
            return Path(*(part for part in place.parts if part != kind)).with_suffix("").as_posix(), kind
    return place.with_suffix("").as_posix(), None


def _misfit(high: Path, low: Path, scale: int) -> str | None:
    height, width = image_size(high)
    low_height, low_width = image_size(low)
    if (height // scale, width // scale) == (low_height, low_width):
        return None
    return f"{width} x {height}, and {low.name} is {low_width} x {low_height}, not {width // scale} x {height // scale}"


def _too_small(highs: Iterable[Path], root: Path, scale: int) -> list[Problem]:
    found = []
    for path in highs:
        height, width = image_size(path)
        if min(height, width) // scale * scale < least_side(scale):
            detail = f"{width} x {height}; each side needs {least_side(scale)}"
            found.append(Problem("image too small to be judged", path.relative_to(root).as_posix(), detail))
    return found
