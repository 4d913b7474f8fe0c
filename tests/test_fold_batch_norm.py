"""Networks whose batch norms were folded return what they returned before."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from models.fold_batch_norm import fold_batch_norm_
from models.segmentation.unet import UNet
from models.segmentation.unet34 import UNet34


def trained(net: nn.Module) -> nn.Module:
    """Gives batch norms the statistics and weights of a network that was trained."""
    generator = torch.Generator().manual_seed(0)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                if tensor is not None:
                    tensor.data.uniform_(0.5, 1.5, generator=generator)
    return net.eval()


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "resnet18", "efficientnet_b0", "vgg11_bn"])
def test_outputs_stay_the_same(encoder: str) -> None:
    torch.manual_seed(0)
    net = trained(UNet(encoder=encoder, pretrained="none"))
    folded = deepcopy(net)
    assert fold_batch_norm_(folded) > 0
    image = torch.rand(2, 3, 96, 70)
    with torch.inference_mode():
        expected, found = net(image), folded(image)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_no_batch_norm_of_mobilenet_is_left() -> None:
    net = UNet(encoder="mobilenet_v2", pretrained="none")
    count = sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    assert fold_batch_norm_(net) == count
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())


def test_norms_outside_of_a_chain_stay() -> None:
    net = trained(UNet34(pretrained="none"))
    folded = deepcopy(net)
    fold_batch_norm_(folded)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(image), net(image), rtol=1e-3, atol=1e-4)
    blocks = (layer for layer in folded.modules() if type(layer).__name__ == "BasicBlock")
    assert all(isinstance(block.bn1, nn.BatchNorm2d) for block in blocks)


def test_a_layer_that_is_watched_stays() -> None:
    chain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    chain[0].register_forward_hook(lambda *_: None)
    assert fold_batch_norm_(chain) == 1
    assert isinstance(chain[1], nn.BatchNorm2d)
    assert isinstance(chain[3], nn.Identity)
