"""Writes rendered cars to a folder in the layout of Kaggle's Carvana competition."""

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.io.atomic_file import atomic_path, partial_path
from datamodules.io.rle import encode_rle
from datamodules.loading.parallel import map_files, usable_cores
from datamodules.samples.cars.render import draw_car
from datamodules.samples.cars.variety import set_design

DRAWING = 3  # version of the images; increase it when they change
_JPEG_QUALITY = 90
_COMPLETE = "complete"
_MAX_WORKERS = 8  # each needs half a gigabyte


@dataclass(frozen=True)
class _Shot:
    car: int
    view: int


def ensure_sample_cars(
    folder: Path,
    *,
    cars: int = 12,
    views: int = 16,
    seed: int = 0,
    varied: bool = False,
    workers: int | None = None,
) -> Path:
    """Writes a small Carvana-like set unless it exists; an incomplete set is completed.

    Files are written atomically, and equal arguments give equal bytes, so several processes may write the same set at
    once.

    Args:
        folder: parent folder; each set has its own folder in it.
        cars: number of cars.
        views: images per car, at equal angles.
        seed: seed of the designs.
        varied: whether the cars are of the wider choice of ``set_design``.
        workers: number of processes; by default one per core, at most eight.

    Returns:
        The folder of the set, with ``train/<id>_<view>.jpg``, ``train_masks/<id>_<view>_mask.gif`` (0 and 1),
        ``train_masks.csv`` and ``metadata.csv``.

    Raises:
        ValueError: if ``cars`` or ``views`` is less than 1.
    """
    if cars < 1 or views < 1:
        raise ValueError(f"cars={cars} and views={views}: at least one of each is needed")
    root = folder / f"cars-{DRAWING}-seed{seed}-{cars}x{views}{'-varied' if varied else ''}"
    if (root / _COMPLETE).is_file():
        return root
    for name in ("train", "train_masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    processes = min(usable_cores(), _MAX_WORKERS) if workers is None else workers
    shots = [_Shot(car, view) for car in range(cars) for view in range(1, views + 1)]
    # workers get chunks of shots: group them by car, so that each worker builds a car once
    shots.sort(key=lambda shot: (shot.car // max(processes, 1), (shot.view - 1) // 8, shot.car, shot.view))
    draw = partial(_draw, root=root, seed=seed, views=views, varied=varied)
    runs = map_files(draw, shots, workers=processes, title="Drawing the sample cars")
    rows = sorted((f"{_stem(seed, shot)}.jpg", str(run)) for shot, run in zip(shots, runs, strict=True))
    _write(root, "train_masks.csv", _csv([("img", "rle_mask"), *rows]))
    _write(
        root,
        "metadata.csv",
        _csv([("id", "year", "make", "model", "trim1", "trim2"), *_metadata(seed, cars, varied=varied)]),
    )
    _write(root, _COMPLETE, b"")
    return root


def car_id(seed: int, car: int) -> str:
    """Twelve hexadecimal digits, like Kaggle's names of cars."""
    return hashlib.sha256(f"sample car {seed}/{car}".encode()).hexdigest()[:12]


def _stem(seed: int, shot: _Shot) -> str:
    return f"{car_id(seed, shot.car)}_{shot.view:02d}"


def _draw(shot: _Shot, *, root: Path, seed: int, views: int, varied: bool) -> str:
    """Writes image and mask unless both exist, and returns the run-length encoded mask."""
    stem = _stem(seed, shot)
    image_path, mask_path = root / "train" / f"{stem}.jpg", root / "train_masks" / f"{stem}_mask.gif"
    if image_path.is_file() and mask_path.is_file():
        with Image.open(mask_path) as stored:
            return encode_rle(np.asarray(stored, dtype=np.uint8))
    image, mask = draw_car(seed, shot.view, car=shot.car, views=views, varied=varied)
    done, jpeg = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {image_path.name}")
    _write(root, f"train/{image_path.name}", jpeg.tobytes())
    _write(root, f"train_masks/{mask_path.name}", _gif(mask))
    return encode_rle(mask)


def _gif(mask: NDArray[np.uint8]) -> bytes:
    """Encodes a mask as GIF with a palette of black and white, like Kaggle's masks."""
    image = Image.fromarray(mask).convert("P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    out = io.BytesIO()
    image.save(out, "GIF", optimize=False)
    return out.getvalue()


def _metadata(seed: int, cars: int, *, varied: bool) -> list[tuple[str, ...]]:
    designs = [set_design(seed, car, varied=varied) for car in range(cars)]
    return [
        (car_id(seed, k), str(design.year), "Darkroom", design.shape.name, design.shape.name, design.paint_name)
        for k, design in enumerate(designs)
    ]


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def _write(root: Path, name: str, content: bytes) -> None:
    target = root / name
    with atomic_path(target, partial=partial_path(root / target.name)) as partial:  # not among the images
        partial.write_bytes(content)
