"""Strided depthwise convolutions inside autocast: the values of float32, rounded; the same network everywhere else."""

import copy

import pytest
import torch
import torchvision
from torch import Tensor, nn

from models import UNet
from models.strided_depthwise import StridedDepthwiseConv2d, speed_up_depthwise_


def plain_and_fast(*, bias: bool = False) -> tuple[nn.Conv2d, nn.Conv2d]:
    plain = nn.Conv2d(24, 48, 3, stride=2, padding=1, groups=24, bias=bias)
    fast = copy.deepcopy(plain)
    speed_up_depthwise_(fast)
    return plain, fast


def results(conv: nn.Conv2d, x: Tensor, *, autocast: bool) -> list[Tensor]:
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = conv(x)
    out.float().square().mean().backward()
    assert x.grad is not None
    assert conv.weight.grad is not None
    bias = [] if conv.bias is None else [conv.bias.grad]
    return [out, x.grad, conv.weight.grad, *(gradient for gradient in bias if gradient is not None)]


def test_same_without_autocast() -> None:
    x = torch.rand(2, 24, 33, 20)
    for expected, found in zip(*(results(conv, x, autocast=False) for conv in plain_and_fast()), strict=True):
        assert torch.equal(expected, found)


@pytest.mark.parametrize("most", [8_000_000, 5000])
@pytest.mark.parametrize("bias", [False, True])
def test_float32_rounded_in_autocast(bias: bool, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.strided_depthwise._MOST", most)  # 31,680 values: 1 group or 8 groups of channels
    plain, fast = plain_and_fast(bias=bias)
    x = torch.rand(2, 24, 33, 20).bfloat16().float()  # as the layer before gives it inside autocast
    out, *gradients = results(fast, x, autocast=True)
    exact, *exact_gradients = results(plain, x, autocast=False)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, exact.bfloat16())
    assert len(gradients) == (3 if bias else 2)
    for found, expected in zip(gradients, exact_gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-5)  # the gradient of the output is bfloat16


def test_input_is_kept_in_bfloat16() -> None:
    _, fast = plain_and_fast()
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.rand(2, 24, 33, 20, requires_grad=True)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16),
    ):
        fast(x.bfloat16())
    assert {tensor.dtype for tensor in kept if tensor.shape == x.shape} == {torch.bfloat16}


def test_encoder_has_them_with_torchvisions_names() -> None:
    classifier = torchvision.models.mobilenet_v2(weights=None)
    strided = {
        name for name, layer in classifier.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.stride == (2, 2)
    }  # fmt: skip
    net = UNet(encoder="mobilenet_v2", pretrained="none")
    names = {own: name.removesuffix(".weight") for name, own in net.encoder.torchvision_names().items()}
    found = {
        names[f"{name}.weight"] for name, layer in net.encoder.named_modules()
        if isinstance(layer, StridedDepthwiseConv2d)
    }  # fmt: skip
    assert len(strided) == 4
    assert found == strided


def test_initial_weights_do_not_change() -> None:
    torch.manual_seed(0)
    plain = torchvision.models.mobilenet_v2(weights=None).state_dict()
    torch.manual_seed(0)
    net = torchvision.models.mobilenet_v2(weights=None)
    speed_up_depthwise_(net)
    assert all(torch.equal(plain[name], tensor) for name, tensor in net.state_dict().items())
