"""Activation checkpointing changes the memory of a step and nothing else."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.checkpointing import apply_layer
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34

NETS: dict[str, Callable[[bool], nn.Module]] = {
    "mobilenet_v2": lambda on: UNet(encoder="mobilenet_v2", pretrained="none", checkpointing=on),
    "resnet18": lambda on: UNet(encoder="resnet18", pretrained="none", checkpointing=on),
    "vgg11, dropout": lambda on: nn.Sequential(
        nn.Dropout(0.3), UNet(encoder="vgg11", pretrained="none", checkpointing=on)
    ),
    "unet34": lambda on: UNet34(pretrained="none", checkpointing=on),
}


def step(net: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """Runs a step forward and backward; returns the result and the bytes that were kept for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result: Tensor = net(images)
    result.square().mean().backward()
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    return result.detach(), sum(size for place, size in kept.items() if place not in own)


@pytest.mark.parametrize("name", NETS)
def test_results_gradients_and_statistics_are_equal_and_memory_is_saved(name: str) -> None:
    plain, saving = NETS[name](False).train(), NETS[name](True).train()
    saving.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    for seed in (1, 2):  # the second step starts from the statistics that the first one has left
        torch.manual_seed(seed)
        expected, whole = step(plain, images)
        torch.manual_seed(seed)
        result, kept = step(saving, images)
        assert torch.equal(result, expected)
        assert kept < 0.4 * whole
    for (key, wanted), found in zip(plain.named_parameters(), saving.parameters(), strict=True):
        assert wanted.grad is not None
        assert found.grad is not None
        assert torch.equal(found.grad, wanted.grad), key
    for (key, wanted), found in zip(plain.named_buffers(), saving.buffers(), strict=True):
        assert torch.equal(found, wanted), key


def test_dropout_inside_a_layer_draws_the_same_numbers_again() -> None:
    layer = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5), nn.Linear(64, 64)).train()
    inputs = torch.rand(4, 64)
    gradients = []
    for checkpointing in (False, True):
        layer.zero_grad()
        torch.manual_seed(3)
        apply_layer(layer, inputs, checkpointing=checkpointing).sum().backward()
        gradients.append([parameter.grad for parameter in layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True) if a is not None and b is not None)
    first = gradients[0][0]
    assert first is not None
    assert first.abs().sum() > 0


def test_a_frozen_encoder_gets_no_gradients() -> None:
    net = UNet(encoder="resnet18", pretrained="none", checkpointing=True).train()
    net.encoder.requires_grad_(False).eval()
    net(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(parameter.grad is None for parameter in net.encoder.parameters())
    assert all(parameter.grad is not None for parameter in net.blocks.parameters())
