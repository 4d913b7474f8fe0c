"""The README's image of super-resolution shows the same crop of every result."""

from pathlib import Path

import numpy as np
import torch

from experiments.readme.super_resolution import _split_corner, row, sheet
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet
from tests.helpers.tiny_images import noise, save


def untrained() -> SuperResolutionModule:
    return SuperResolutionModule(net=SrResnet(width=4, blocks=1, max_scale=2), loss=L1Loss(), lpips="none").eval()


def test_row_shows_the_same_crop_four_times(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (201, 300, 3), dtype=np.uint8)
    panels = row(save(tmp_path / "a.png", image), (30, 60), {"pixel": untrained(), "perceptual": untrained()})
    assert [panel.label.split()[0] for panel in panels] == ["bicubic", "pixel", "perceptual", "image"]
    target = panels[3].image[:, ::2, ::2].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(target, image[60:180, 30:150])
    torch.testing.assert_close(panels[1].image, panels[0].image, rtol=0, atol=1)  # an untrained network is bicubic
    assert panels[1].label.split()[1:] == panels[0].label.split()[1:]
    assert sheet(panels, "title").shape == (92 + 244, 972, 3)


def test_small_image_is_shown_whole(tmp_path: Path) -> None:
    panels = row(save(tmp_path / "a.png", noise(0, 60, 80)), None, {"pixel": untrained()})
    assert {panel.image.shape for panel in panels} == {(3, 240, 240)}


def test_split_corner() -> None:
    assert _split_corner("image.png:30,60") == (Path("image.png"), (30, 60))
    assert _split_corner("image.png") == (Path("image.png"), None)
    assert _split_corner("a:b/image.png") == (Path("a:b/image.png"), None)
