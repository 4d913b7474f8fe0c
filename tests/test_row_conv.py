"""The convolution that is split into the rows of its kernel equals torch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.style.row_conv import RowConv2d, conv_by_rows
from models.style.style_resnet import StyleResnet


@pytest.mark.parametrize(("kernel", "size"), [((9, 9), (17, 12)), ((3, 5), (9, 9)), ((1, 1), (4, 6))])
def test_values_and_gradients_equal_those_of_torch(kernel: tuple[int, int], size: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 5, *kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    split, plain = conv_by_rows(x, weight, bias), F.conv2d(x, weight, bias)
    torch.testing.assert_close(split, plain)
    gradient = torch.randn_like(plain)
    for mine, theirs in zip(
        torch.autograd.grad(split, (x, weight, bias), gradient),
        torch.autograd.grad(plain, (x, weight, bias), gradient),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


def test_the_style_network_gives_the_same_image_and_gradients_with_a_plain_convolution() -> None:
    torch.manual_seed(0)
    net = StyleResnet(width=8, blocks=1, norm="instance")
    images = torch.rand(2, 3, 31, 40)
    assert isinstance(net.tail, RowConv2d)
    found = net(images)
    found.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    plain = nn.Conv2d(8, 3, 9, padding=4, padding_mode="reflect")
    plain.load_state_dict(net.tail.state_dict())
    net.tail = plain
    net.zero_grad()
    expected = net(images)
    expected.square().sum().backward()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-4)


def test_under_autocast_it_is_an_ordinary_convolution() -> None:
    torch.manual_seed(0)
    layer = RowConv2d(4, 3, 9, bias=True)
    x = torch.rand(1, 4, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
        expected = F.conv2d(F.pad(x, [4] * 4, mode="reflect"), layer.weight, layer.bias)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
