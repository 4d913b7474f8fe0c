"""Images of 12 bits in files of 16 are nearly black, which the summary of every task reports."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.images.patch_datamodule import PatchDataModule
from datamodules.images.style import StyleDataModule
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.io.bit_depth import FULL_BITS, depth_notes


@pytest.mark.parametrize("kind", [SuperResolutionDataModule, StyleDataModule])
@pytest.mark.parametrize(("top", "reported"), [(4000, True), (40_000, False)])
def test_summary(tmp_path: Path, kind: type[PatchDataModule], top: int, reported: bool) -> None:
    (tmp_path / "d").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, top, (40, 40), dtype=np.uint16)
        pixels[0, 0] = top
        Image.fromarray(pixels).save(tmp_path / f"d/p{number}.png")
    for _ in range(2):  # checked, and from the stored result
        data = kind(root=tmp_path / "d", cache_dir=tmp_path / "cache", num_workers=0)
        lines = [line for line in data.describe() if "DARK IMAGES" in line]
        assert len(lines) == reported
        if reported:
            assert "the 3 16-bit images hold values up to 4000 of 65535 (12 bits)" in lines[0]
            assert "at most 16 of 255" in lines[0]


def test_images_of_8_bits_are_not_counted() -> None:
    assert depth_notes([None, None], FULL_BITS) == []
    (line,) = depth_notes([None, 1000, 4095], FULL_BITS)
    assert "the 2 16-bit images hold values up to 4095" in line
    assert "--data.bits auto" in line
