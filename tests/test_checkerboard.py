"""Networks draw no checkerboards: their output for flat images has no peak at the frequencies of the pixel shuffle."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from callbacks.training.icnr_init import ICNRInit
from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.stage import Stage
from experiments.benchmarks.flat_images import checkerboard_amplitude
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet
from models.super_resolution.upsampling import SubpixelUpsample, icnr_
from tests.helpers.quick_fit import quick_fit


def untrained(scale: int, *, icnr: bool) -> SrResnet:
    torch.manual_seed(0)
    net = SrResnet(width=16, max_scale=scale).eval()
    torch.nn.init.normal_(net.tail.weight, std=0.1)  # zero at the start, which would hide the pattern
    for block in net.upsampling:
        if icnr and isinstance(block, SubpixelUpsample):
            icnr_(block.conv, block.scale)
    return net


@pytest.mark.parametrize("scale", [2, 4])
def test_flat_image_stays_flat_after_icnr(scale: int) -> None:
    assert checkerboard_amplitude(untrained(scale, icnr=True), scale=scale) < 0.01
    assert checkerboard_amplitude(untrained(scale, icnr=False), scale=scale) > 0.5


@pytest.mark.parametrize(("scale", "across"), [(2, 1), (4, 1), (4, 2)])
def test_amplitude_of_a_known_pattern(scale: int, across: int) -> None:
    """A cosine of 3 gray levels has two lines of 1.5 in the spectrum, or one of 3 at the Nyquist frequency."""

    def patterned(images: Tensor) -> Tensor:
        large = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        wave = 3 / 255 * np.cos(2 * np.pi * across / scale * np.arange(large.shape[3]))
        return large + torch.from_numpy(wave).float()

    assert checkerboard_amplitude(patterned, scale=scale) == pytest.approx(3 if scale == 2 * across else 1.5, abs=1e-3)


def trained(cache: Path, *, icnr: bool) -> SuperResolutionModule:
    """A small network of the default form, trained for 112 steps with the real module and data."""
    torch.manual_seed(0)
    net = SrResnet(width=16, blocks=2, max_scale=2)
    module = SuperResolutionModule(net=net, loss=L1Loss(), lpips="none")
    stage = Stage(name="2x", scale=2, size=24, batch_size=8, epochs=4, lr=2e-3, warmup=0.1)
    data = SuperResolutionDataModule(cache_dir=cache, num_workers=0, crops=32, val_size=24)
    quick_fit(module, data, stage, extra=[ICNRInit()] if icnr else [])
    assert net.tail.weight.abs().max() > 0.01  # training has changed the last layer
    return module


@pytest.mark.slow
def test_trained_network_keeps_flat_images_flat(tmp_path: Path) -> None:
    module = trained(tmp_path, icnr=True)
    amplitude = checkerboard_amplitude(module, scale=2)
    assert amplitude < 0.1  # a fifth of what rounding to 8 bits removes
    assert checkerboard_amplitude(trained(tmp_path, icnr=False), scale=2) > 2 * amplitude
    weight = module.net.upsampling[0].conv.weight  # type: ignore[index, union-attr]
    torch.nn.init.normal_(weight, std=float(weight.detach().std()))  # same scale, every kernel drawn independently
    assert checkerboard_amplitude(module, scale=2) > 0.5


@pytest.mark.parametrize("scale", [2, 4])
def test_nearest_neighbor_has_no_checkerboard_and_transposed_convolution_has_one(scale: int) -> None:
    for kind, flat in (("nearest", True), ("transposed", False)):
        torch.manual_seed(0)
        net = SrResnet(width=16, max_scale=scale, upsample=kind).eval()  # type: ignore[arg-type]
        torch.nn.init.normal_(net.tail.weight, std=0.1)
        assert (checkerboard_amplitude(net, scale=scale) < 0.01) == flat
