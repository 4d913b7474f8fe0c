"""The README's picture of super-resolution: the same part of every result, found and cut where it was asked for."""

from pathlib import Path

import numpy as np
import torch

from experiments.readme.super_resolution import _named, row, sheet
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet
from tests.tiny_pictures import noise, save


def untrained() -> SuperResolutionModule:
    return SuperResolutionModule(net=SrResnet(width=4, blocks=1, max_scale=2), loss=L1Loss(), lpips="none").eval()


def test_a_row_shows_the_same_part_four_times(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (201, 300, 3), dtype=np.uint8)
    panels = row(save(tmp_path / "a.png", picture), (30, 60), {"pixels": untrained(), "sees": untrained()})
    assert [panel.label.split()[0] for panel in panels] == ["bicubic", "pixels", "sees", "photograph"]
    target = panels[3].picture[:, ::2, ::2].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(target, picture[60:180, 30:150])
    torch.testing.assert_close(panels[1].picture, panels[0].picture, rtol=0, atol=1)  # untrained it is bicubic
    assert panels[1].label.split()[1:] == panels[0].label.split()[1:]
    assert sheet(panels, "title").shape == (92 + 244, 972, 3)


def test_the_middle_of_a_small_picture_is_all_of_it(tmp_path: Path) -> None:
    panels = row(save(tmp_path / "a.png", noise(0, 60, 80)), None, {"pixels": untrained()})
    assert {panel.picture.shape for panel in panels} == {(3, 240, 240)}


def test_corners_are_split_off_names() -> None:
    assert _named("photo.png:30,60") == (Path("photo.png"), (30, 60))
    assert _named("photo.png") == (Path("photo.png"), None)
    assert _named("a:b/photo.png") == (Path("a:b/photo.png"), None)
