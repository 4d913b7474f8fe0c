"""The README's image of super-resolution: the same part of every result, found and cut where it was asked for."""

from pathlib import Path

import numpy as np
import torch

from experiments.readme.super_resolution import _named, row, sheet
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet
from tests.helpers.tiny_images import noise, save


def untrained() -> SuperResolutionModule:
    return SuperResolutionModule(net=SrResnet(width=4, blocks=1, max_scale=2), loss=L1Loss(), lpips="none").eval()


def test_a_row_shows_the_same_part_four_times(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (201, 300, 3), dtype=np.uint8)
    panels = row(save(tmp_path / "a.png", image), (30, 60), {"pixels": untrained(), "sees": untrained()})
    assert [panel.label.split()[0] for panel in panels] == ["bicubic", "pixels", "sees", "image"]
    target = panels[3].image[:, ::2, ::2].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(target, image[60:180, 30:150])
    torch.testing.assert_close(panels[1].image, panels[0].image, rtol=0, atol=1)  # untrained it is bicubic
    assert panels[1].label.split()[1:] == panels[0].label.split()[1:]
    assert sheet(panels, "title").shape == (92 + 244, 972, 3)


def test_the_middle_of_a_small_image_is_all_of_it(tmp_path: Path) -> None:
    panels = row(save(tmp_path / "a.png", noise(0, 60, 80)), None, {"pixels": untrained()})
    assert {panel.image.shape for panel in panels} == {(3, 240, 240)}


def test_corners_are_split_off_names() -> None:
    assert _named("image.png:30,60") == (Path("image.png"), (30, 60))
    assert _named("image.png") == (Path("image.png"), None)
    assert _named("a:b/image.png") == (Path("a:b/image.png"), None)
