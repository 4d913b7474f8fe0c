"""Blur and LPIPS: by their effect, by hand, and without weights."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from skimage import data, filters
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import vgg

from experiments.tasks.super_resolution import SPEC
from lightning_modules import lpips as lpips_module
from lightning_modules.lpips import Lpips
from lightning_modules.super_resolution_metrics import blur, mean_scores
from models.weights.pretrained import WeightsError


def image() -> np.ndarray:  # type: ignore[type-arg]
    return data.astronaut()[:96, 180:308] / 255


def tensor(image: np.ndarray) -> Tensor:  # type: ignore[type-arg]
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def blurred(sigma: float) -> Tensor:
    return tensor(filters.gaussian(image(), sigma, channel_axis=-1))


def test_blur_score_increases_with_blur() -> None:
    figures = blur(torch.cat([tensor(image()), blurred(1), blurred(2), blurred(4)]), border=2)
    assert figures == sorted(figures)
    assert 0 < figures[0] < figures[1] - 0.1
    assert figures[3] < 1


def test_flat_images_score_as_blurred_and_the_border_is_excluded() -> None:
    flat = torch.full((1, 3, 40, 50), 0.4)
    assert blur(flat, border=0) == [1.0]
    framed = flat.clone()
    framed[..., :4] = torch.rand(1, 3, 40, 4, generator=torch.Generator().manual_seed(0))
    assert blur(framed, border=4) == [1.0]
    assert blur(framed, border=0)[0] < 0.9


def test_lpips_uses_alexnet_if_weights_are_available(monkeypatch: pytest.MonkeyPatch) -> None:
    alexnet = torchvision.models.alexnet
    torch.manual_seed(0)
    net = alexnet(weights=None)
    monkeypatch.setattr(lpips_module, "imagenet_file", lambda name: name)
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights: net)
    lpips = Lpips("auto")
    lpips.load(torch.device("cpu"))
    truth = tensor(image())
    assert lpips(truth, truth) == 0
    near, far = lpips(blurred(0.5), truth), lpips(blurred(3), truth)
    assert near is not None
    assert far is not None
    assert 0 < near < far
    assert lpips(blurred(0.5), truth) == near  # nothing is carried over from image to image
    assert lpips(truth * 7, (truth * 7).clamp(0, 1)) == 0
    assert lpips(truth[..., :62], truth[..., :62]) is None
    assert lpips(truth[..., :63], truth[..., :63]) == 0


def test_lpips_with_a_file_of_vgg16_equals_torchmetrics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    features = vgg.make_layers(vgg.cfgs["D"])
    for layer in features:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, tmp_path / "vgg16.pth")
    monkeypatch.setattr(torchvision.models, "vgg16", lambda weights: SimpleNamespace(features=features))
    theirs = LearnedPerceptualImagePatchSimilarity("vgg", normalize=True)
    lpips = Lpips(str(tmp_path / "vgg16.pth"))
    monkeypatch.undo()
    lpips.load(torch.device("cpu"))
    truth = tensor(image())
    for sigma in (0.5, 3):
        assert lpips(blurred(sigma), truth) == pytest.approx(float(theirs(blurred(sigma), truth)), rel=1e-3)
        theirs.reset()
    assert lpips(truth, truth) == 0
    with pytest.raises(WeightsError, match=r"missing\.pth is neither a file"):
        Lpips(str(tmp_path / "missing.pth")).load(torch.device("cpu"))


def test_missing_lpips_weights_are_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nowhere(name: str) -> None:
        raise WeightsError(f"no ImageNet weights for {name}")

    monkeypatch.setattr(lpips_module, "imagenet_file", nowhere)
    lpips = Lpips("auto")
    with caplog.at_level(logging.WARNING, logger="darkroom"):
        lpips.load(torch.device("cpu"))
        lpips.load(torch.device("cpu"))
    assert caplog.messages == ["LPIPS is not measured: no ImageNet weights for alexnet"]
    assert lpips(tensor(image()), tensor(image())) is None


def test_lpips_none_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpips_module, "imagenet_file", lambda name: pytest.fail("looked"))
    lpips = Lpips("none")
    lpips.load(torch.device("cpu"))
    assert lpips(tensor(image()), tensor(image())) is None


def test_table_has_a_column_per_measured_metric() -> None:
    row = {"name": "a.png", "psnr": 30.0, "bicubic_psnr": 28.0, "ssim": 0.9, "bicubic_ssim": 0.8}
    row |= {"blur": 0.3, "bicubic_blur": 0.5, "target_blur": 0.25}
    small = row | {"name": "small.png", "psnr": 20.0}
    seen = row | {"lpips": 0.125, "bicubic_lpips": 0.25}
    head, first, second, last = SPEC.table_lines([small, seen])
    assert " ".join(head.split()) == "image PSNR bicubic gain SSIM bicubic blur bicubic target LPIPS bicubic"
    assert first.split()[-2:] == ["-", "-"]
    assert second.split()[-2:] == ["0.125", "0.250"]
    assert " ".join(last.split()) == "mean 25.00 28.00 -3.00 0.9000 0.8000 0.300 0.500 0.250 0.125 0.250"
    assert "LPIPS" not in SPEC.table_lines([small])[0]
    restored = SPEC.table_lines([small | {"baseline": "input"}])[0]
    assert " ".join(restored.split()) == "image PSNR input gain SSIM input blur input target"
    assert len({len(line) for line in (head, first, second, last)}) == 1
    assert mean_scores([small, seen])["lpips"] == 0.125  # of those that have it
