"""Classes that occur in the training or in the validation masks alone are named in the summary."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.segmentation.folder import FolderDataModule
from tests.helpers.tiny_images import noise, save


def data_with(root: Path, masks: dict[str, list[int]]) -> FolderDataModule:
    """A data set whose masks hold the given values, an equal number of columns each; ``val`` in a name is the split."""
    rows = ["name,split"]
    for name, values in masks.items():
        save(root / "images" / f"{name}.png", noise(len(name), 12, 12))
        save(root / "masks" / f"{name}.png", np.tile(np.repeat(np.uint8(values), 12 // len(values)), (12, 1)))
        rows.append(f"{name},{'val' if 'val' in name else 'train'}")
    (root / "split.csv").write_text("\n".join(rows), encoding="utf-8")
    return FolderDataModule(
        root=root,
        classes=["sky", "road", "tree"],
        ignore=255,
        split_file="split.csv",
        cache_dir=root.parent / "cache",
        num_workers=0,
    )


@pytest.mark.parametrize(
    ("masks", "lines"),
    [
        ({"a": [0, 1, 2], "val": [0, 1, 2]}, []),
        ({"a": [0, 1, 2], "val": [0, 1]}, ["CLASSES IN NO VALIDATION MASK: tree"]),
        ({"a": [0, 1, 2], "val": [0, 255]}, ["CLASSES IN NO VALIDATION MASK: road, tree"]),
        (
            {"a": [0, 1], "b": [1], "val": [1, 2]},
            ["CLASSES IN NO VALIDATION MASK: sky", "CLASSES IN NO TRAINING MASK: tree"],
        ),
    ],
)
def test_summary(
    tmp_path: Path, masks: dict[str, list[int]], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # checked, and from the stored result
        data_with(tmp_path / "d", masks).prepare([])
        found = [
            line.strip().partition(";")[0] for line in capsys.readouterr().out.splitlines() if "CLASSES IN" in line
        ]
        assert found == lines
