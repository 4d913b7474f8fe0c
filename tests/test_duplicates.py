"""The same image in two splits is found by its content."""

import shutil
from pathlib import Path

import pytest

from datamodules.base import ImageDataModule
from datamodules.errors import DataError
from datamodules.images.style import StyleDataModule
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.index.duplicates import find_duplicates
from datamodules.index.splits import Split
from datamodules.stage import Stage
from tests.helpers.tiny_images import noise, save

STAGE = Stage(name="2x", size=8, scale=2, batch_size=2, epochs=1, lr=1e-3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six training and three validation images, two of which are also in the training set under other names."""
    root = tmp_path / "images"
    for number in range(6):
        save(root / "train" / f"t{number}.png", noise(number, 40, 40))
    for number in range(3):
        save(root / "val" / f"v{number}.png", noise(100 + number, 40, 40))
    shutil.copy(root / "val/v0.png", root / "train/z.png")
    shutil.copy(root / "val/v1.png", root / "train/a.png")
    return root


def lists(root: Path) -> dict[Split, list[Path]]:
    return {"train": sorted((root / "train").iterdir()), "val": sorted((root / "val").iterdir())}


@pytest.mark.parametrize("workers", [0, 2])
def test_duplicates_are_found_without_false_positives(root: Path, workers: int) -> None:
    save(root / "train/twin.png", noise(0, 40, 40))  # inside a split it does no harm
    whole = (root / "val/v2.png").read_bytes()
    middle = len(whole) // 2
    # The same size, and the same beginning and end.
    long = bytes(5000) + b"a" + bytes(5000), bytes(5000) + b"b" + bytes(5000)
    (root / "train/long.bin").write_bytes(long[0])
    (root / "val/long.bin").write_bytes(long[1])
    (root / "train/near.png").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    found = find_duplicates(lists(root), workers=workers)
    names = sorted(tuple((split, path.name) for split, path in twins) for twins in found)
    assert names == [(("train", "a.png"), ("val", "v1.png")), (("train", "z.png"), ("val", "v0.png"))]


@pytest.mark.parametrize("kind", [SuperResolutionDataModule, StyleDataModule])
def test_duplicates_are_reported_every_time_and_can_be_an_error(
    root: Path, tmp_path: Path, kind: type[ImageDataModule], caplog: pytest.LogCaptureFixture
) -> None:
    options = {"root": root, "cache_dir": tmp_path / "cache", "num_workers": 0}
    stage = Stage(name="all", size=16, batch_size=2, epochs=1, lr=1e-3) if kind is StyleDataModule else STAGE
    message = "2 IMAGE(S) LIE IN MORE THAN ONE SPLIT"
    for times in (1, 2):
        kind(**options).prepare([stage])  # type: ignore[arg-type]
        assert caplog.text.count(message) == times
    assert "train/a.png (train) = val/v1.png (val), train/z.png (train) = val/v0.png (val). Keep each" in caplog.text
    with pytest.raises(DataError, match=r"2 IMAGE.*or go on with --data.duplicates warn"):
        kind(**options, duplicates="error").prepare([stage])  # type: ignore[arg-type]
    for name in ("a", "z"):
        (root / "train" / f"{name}.png").unlink()
    kind(**options, duplicates="error").prepare([stage])  # type: ignore[arg-type]
