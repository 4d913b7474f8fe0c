"""ICNR by its effect: the output of the layer right after initialization."""

import warnings

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from callbacks.training.icnr_init import ICNRInit
from models.super_resolution.sr_resnet import SrResnet
from models.super_resolution.upsampling import SubpixelUpsample, icnr_


class Wrapped(LightningModule):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net


def set_up(net: nn.Module, *, stage: str = "fit", keep: tuple[str, ...] = ()) -> None:
    torch.manual_seed(0)
    ICNRInit(keep=keep).setup(Trainer(accelerator="cpu", logger=False, enable_checkpointing=False), Wrapped(net), stage)


def is_nearest(layer: SubpixelUpsample) -> bool:
    """Whether the enlarged maps equal their corner samples repeated."""
    maps = layer(torch.rand(2, layer.conv.in_channels, 5, 6, generator=torch.Generator().manual_seed(1)))
    corners = maps[..., :: layer.scale, :: layer.scale]
    repeated = corners.repeat_interleave(layer.scale, -1).repeat_interleave(layer.scale, -2)
    return torch.allclose(maps, repeated, atol=1e-6) and bool(corners.std() > 0.1)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("with_weight_norm", [False, True])
def test_layer_starts_as_nearest_neighbour(scale: int, with_weight_norm: bool) -> None:
    layer = SubpixelUpsample(channels=6, scale=scale)
    if with_weight_norm:
        weight_norm(layer.conv)
    assert not is_nearest(layer)
    set_up(layer)
    assert is_nearest(layer)


def test_kernels_differ_between_channels_with_kaiming_scale() -> None:
    conv = nn.Conv2d(64, 64 * 4, 3, padding=1)
    torch.manual_seed(0)
    icnr_(conv, 2)
    kernels = conv.weight[::4]
    assert kernels.flatten(1).unique(dim=0).shape[0] == 64
    assert kernels.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert conv.weight.requires_grad


def test_blur_removes_checkerboards_without_shift() -> None:
    """Kernels that disagree inside a square: one bright pixel in four, which alternates down and across."""
    layer = SubpixelUpsample(channels=1, blur=True)
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.bias.copy_(torch.tensor([1.0, 0, 0, 0]))  # type: ignore[union-attr] # it has one
        flat = layer(torch.rand(1, 1, 5, 6))
        assert flat.shape == (1, 1, 10, 12)
        torch.testing.assert_close(flat[..., 1:-1, 1:-1], torch.full((1, 1, 8, 10), 0.25))
        layer.conv.bias.zero_()
        layer.conv.weight[0, 0, 1, 1] = 1  # the upper left pixel of a square is the input
        dot = torch.zeros(1, 1, 5, 5)
        dot[0, 0, 2, 2] = 16
        expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])  # sixteenths by hand, around (4, 4)
        torch.testing.assert_close(layer(dot)[0, 0, 3:6, 3:6], expected)
        assert layer(dot).sum() == 16


def test_subpixels_diverge_in_training() -> None:
    layer = SubpixelUpsample(channels=3)
    set_up(layer)
    target = torch.rand(1, 3, 10, 12)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    (layer(torch.rand(1, 3, 5, 6)) - target).square().mean().backward()
    optimizer.step()
    assert not is_nearest(layer)


def test_all_blocks_are_initialized_and_loaded_weights_kept() -> None:
    net = SrResnet(width=8, blocks=1)
    given = net.upsampling[0].conv.weight.clone()
    set_up(net, keep=("net.upsampling.0.conv.weight", "net.upsampling.0.conv.bias"))
    assert torch.equal(net.upsampling[0].conv.weight, given)
    assert is_nearest(net.upsampling[1])
    set_up(net)
    assert is_nearest(net.upsampling[0])


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_nothing_happens_outside_fit(stage: str) -> None:
    layer = SubpixelUpsample(channels=4)
    before = layer.conv.weight.clone()
    set_up(layer, stage=stage)
    assert torch.equal(layer.conv.weight, before)


def test_warns_without_a_layer_to_initialize() -> None:
    with pytest.warns(UserWarning, match="found no SubpixelUpsample in Wrapped"):
        set_up(nn.Conv2d(3, 3, 1))


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="10 output channels are no multiple of 2"):
        icnr_(nn.Conv2d(3, 10, 3), 2)
    with pytest.raises(ValueError, match="scale must be at least 2, not 1"):
        SubpixelUpsample(channels=3, scale=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and the reason for this test
        old = torch.nn.utils.weight_norm(nn.Conv2d(3, 12, 3))
    with pytest.raises(ValueError, match="computed by a hook"):
        icnr_(old, 2)
