"""The contract of all segmentation networks."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from models.layer_groups import LayerGroups
from models.segmentation.simple_decoder import SimpleSegmenter
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34

EVERYDAY = ("mobilenet_v2", "resnet18", "convnext_tiny")
ENCODERS = (*EVERYDAY, "resnet34", "resnet50", "efficientnet_b0", "vgg16_bn", "regnet_y_400mf")
NETS: dict[str, Callable[..., Any]] = {
    "simple": SimpleSegmenter,
    "simple on convnext_tiny": lambda **options: SimpleSegmenter(encoder="convnext_tiny", **options),
    "unet34": UNet34,
} | {name: lambda name=name, **options: UNet(encoder=name, **options) for name in ENCODERS}
RARE = [pytest.param(name, marks=pytest.mark.slow) for name in ENCODERS if name not in EVERYDAY]


@pytest.fixture(params=["simple", "simple on convnext_tiny", "unet34", *EVERYDAY, *RARE], scope="module")
def net(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    return NETS[request.param](pretrained="none")


def random_images(height: int, width: int, *, channels: int = 3, count: int = 2) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(64, 64), (65, 99), (98, 71)])
def test_one_logit_per_pixel_at_any_size(net: Any, size: tuple[int, int]) -> None:
    logits = net.eval()(random_images(*size))
    assert logits.shape == (2, 1, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_smallest_image_works_and_a_smaller_one_is_refused(net: Any) -> None:
    least = net.encoder.least_size
    assert least <= 32
    assert net.eval()(random_images(least, least)).shape[2:] == (least, least)
    with pytest.raises(ValueError, match=rf"{least - 1} x 40 .* at least {least}"):
        net(random_images(least - 1, 40))


def test_wrong_number_of_channels_is_refused(net: Any) -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\), not \(2, 4, 64, 64\)"):
        net(random_images(64, 64, channels=4))


def test_every_weight_learns_and_is_in_exactly_one_group(net: Any) -> None:
    net.train().zero_grad()
    net(random_images(65, 70)).square().mean().backward()
    unused = [name for name, p in net.named_parameters() if p.grad is None]
    assert unused == []
    assert isinstance(net, LayerGroups)
    groups = net.layer_groups()
    assert len(groups) == 3
    members = [[p for module in group for p in module.parameters()] for group in groups]
    assert all(members)
    grouped = [id(p) for group in members for p in group]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())


def test_layer_groups_are_ordered_from_input_to_output(net: Any) -> None:
    """The output of the first group depends on the image alone, and not on weights of the last group."""
    first, second, last = net.layer_groups()
    conv = next(m for module in first for m in module.modules() if isinstance(m, nn.Conv2d))
    assert conv.in_channels == 3
    encoder = {id(p) for p in net.encoder.parameters()}
    assert {id(p) for module in [*first, *second] for p in module.parameters()} == encoder
    assert not any(id(p) in encoder for module in last for p in module.parameters())


def test_eval_is_deterministic_and_does_not_modify_images(net: Any) -> None:
    net.eval()
    images = random_images(64, 96)
    before = images.clone()
    first = net(images)
    assert torch.equal(first, net(images))
    assert torch.equal(images, before)
    torch.testing.assert_close(net(images[:1]), first[:1], rtol=1e-4, atol=1e-5)


def test_state_dict_restores_the_net(net: Any, request: pytest.FixtureRequest) -> None:
    net.eval()
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    torch.manual_seed(5)
    again = NETS[request.node.callspec.params["net"]](pretrained="none").eval()
    again.load_state_dict(torch.load(file, weights_only=True))
    images = random_images(64, 64)
    assert torch.equal(again(images), net(images))


def test_channels_last_gives_the_same(net: Any) -> None:
    net.eval()
    images = random_images(64, 64)
    expected = net(images)
    result = net.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    net.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)


def test_bf16_autocast_trains(net: Any) -> None:
    net.train().zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(random_images(64, 64))
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert {p.dtype for p in net.parameters()} == {torch.float32}


@pytest.mark.slow
def test_exports_for_one_odd_size(net: Any) -> None:
    net.eval()
    exported = torch.export.export(net, (random_images(77, 90),), strict=False).module()
    images = random_images(77, 90) / 2
    torch.testing.assert_close(exported(images), net(images), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_exports_for_any_multiple_of_32(net: Any) -> None:
    net.eval()
    dim = torch.export.Dim
    free = {0: dim("n", min=1, max=64), 2: 32 * dim("h", min=2, max=64), 3: 32 * dim("w", min=2, max=64)}
    exported = torch.export.export(net, (random_images(96, 128),), dynamic_shapes=(free,), strict=False).module()
    images = random_images(64, 160, count=3)
    torch.testing.assert_close(exported(images), net(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["unet34", "mobilenet_v2", "convnext_tiny"])
def test_more_classes_and_channels(name: str) -> None:
    net = NETS[name](pretrained="none", classes=11, in_channels=4)
    assert net.eval()(random_images(50, 66, channels=4)).shape == (2, 11, 50, 66)
