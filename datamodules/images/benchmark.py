"""Benchmarks of super-resolution: a folder of HR files, with or without the LR files that were made from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.images.degradation import Degradation
from datamodules.index.folder_scan import list_images
from datamodules.index.problems import Problem, raise_problems
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image import image_size, read_image
from datamodules.io.resize import crop_to_multiple
from datamodules.io.tensors import image_tensor
from datamodules.loading.sampler import Key, sample_seed

HIGH, LOW = "HR", "LR"
_WINDOW = 11  # side of SSIM's window
ADVICE = "Correct or remove these files, or name another --data.benchmark folder; nothing was measured."


@dataclass(frozen=True)
class BenchmarkImage:
    """One image of a benchmark.

    Args:
        name: path of the HR file below the benchmark's folder, with ``/``.
        high: the HR file.
        low: the LR file; ``None`` if it is made from the HR file.
    """

    name: str
    high: Path
    low: Path | None


def list_benchmark(folder: Path, scale: int) -> list[BenchmarkImage]:
    """Lists the images of a benchmark for one magnification, and checks their sizes from their headers.

    If there are subfolders ``x2``, ``x4``, ..., only that of the magnification is read. Files whose stem ends in
    ``_HR`` or ``_LR``, or which lie in folders ``HR`` and ``LR``, are pairs; without such names every file is an HR
    image and the LR images are made from them. The layout of EDSR and BasicSR is known too: ``HR/baby.png`` with
    ``LR_bicubic/X2/babyx2.png``; the folders of other magnifications are not read.

    Args:
        folder: folder of the benchmark.
        scale: the magnification.

    Returns:
        The images sorted by name.

    Raises:
        DataError: if there are none; or naming files without a partner, pairs whose sizes do not fit the scale, and
            images that are too small for SSIM.
    """
    if not folder.is_dir():
        raise DataError(f"--data.benchmark {folder} is not a folder: name the folder of a benchmark")
    place = folder / f"x{scale}" if (folder / f"x{scale}").is_dir() else folder
    if place == folder and (others := sorted(path.name for path in folder.glob("x[0-9]") if path.is_dir())):
        raise DataError(
            f"{folder} has images for {', '.join(others)} and none for x{scale}, the network's magnification"
        )
    edsr = place / "LR_bicubic" / f"X{scale}"
    if (place / HIGH).is_dir() and edsr.parent.is_dir():
        if not edsr.is_dir():
            others = sorted(path.name for path in edsr.parent.iterdir() if path.is_dir())
            raise DataError(f"{edsr.parent} has images for {', '.join(others) or 'no scale'} and none for X{scale}")
        parts: list[tuple[Path, str, str | None]] = [(path, path.stem, HIGH) for path in list_images(place / HIGH)]
        parts += [(path, path.stem.removesuffix(f"x{scale}"), LOW) for path in list_images(edsr)]
    else:
        parts = [(path, *_key(path, place)) for path in list_images(place)]
    if not parts:
        raise DataError(f"{place} holds no images: name the folder of a benchmark with --data.benchmark")
    if all(kind is None for _, _, kind in parts):
        raise_problems(place, _too_small([path for path, _, _ in parts], place, scale), ADVICE)
        return [BenchmarkImage(path.relative_to(place).as_posix(), path, None) for path, _, _ in parts]
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
    return [
        BenchmarkImage(path.relative_to(place).as_posix(), path, lows.get(key)) for key, path in sorted(highs.items())
    ]


def least_side(scale: int) -> int:
    """Smallest side that SSIM needs: its window, and the border of ``scale`` pixels that is not evaluated."""
    return _WINDOW + 2 * scale


class BenchmarkDataset(Dataset[dict[str, Any]]):
    """Whole images for evaluation, samples as in ``NativePairDataset``.

    Args:
        images: from ``list_benchmark``.
        scale: the magnification.
        degrade: makes the LR images that are missing.
        seed: of the degradation.
        bits: bits that 16-bit images use.
    """

    def __init__(
        self,
        images: Sequence[BenchmarkImage],
        *,
        scale: int,
        degrade: Degradation,
        seed: int,
        bits: int = FULL_BITS,
    ) -> None:
        self._images, self._scale, self._degrade, self._seed = images, scale, degrade, seed
        self._bits = bits

    def __len__(self) -> int:
        return len(self._images)

    def name(self, key: Key) -> str:
        """Name of the sample, for messages."""
        return self._images[key.index].name

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """Returns one pair; the epoch has no effect.

        Raises:
            DataError: if a file cannot be read.
        """
        image = self._images[key.index]
        high, low = self._pair(image, sample_seed(self._seed, 0, key.index))
        return {"low_res": image_tensor(low), "high_res": image_tensor(high), "name": image.name}

    def _pair(self, image: BenchmarkImage, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        high = crop_to_multiple(read_image(image.high, bits=self._bits), self._scale)
        if image.low is None:
            return high, self._degrade(high, scale=self._scale, seed=seed)
        return high, read_image(image.low, bits=self._bits)


def _key(path: Path, root: Path) -> tuple[str, str | None]:
    """The part of the name that both files of a pair share, and which of the two this is."""
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
            found.append(Problem("image too small for SSIM", path.relative_to(root).as_posix(), detail))
    return found
