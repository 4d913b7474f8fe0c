"""Style networks paint no frame: flat images keep the same roughness at the border as inside."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from datamodules.images.style import StyleDataModule
from datamodules.stage import Stage
from experiments.benchmarks.flat_images import border_roughness
from lightning_modules.style import StyleModule
from models.losses.style import StyleLoss
from models.style.style_resnet import StyleResnet
from tests.helpers.quick_fit import quick_fit


def test_border_roughness_separates_border_and_middle() -> None:
    """Vertical stripes of 8 gray levels, two pixels wide, in the middle alone: every second difference is 8."""

    def striped(images: Tensor) -> Tensor:
        made = torch.zeros_like(images)
        made[..., 18::4] = 8 / 255
        made[..., 19::4] = 8 / 255
        made[..., :16] = made[..., -16:] = 0
        made[..., :16, :] = made[..., -16:, :] = 0
        return made

    border, inside = border_roughness(striped)
    assert inside == pytest.approx(8 / 2 / 2, rel=0.01)  # half of the horizontal differences, no vertical one
    assert border < 0.3  # the ends of the stripes


def trained(cache: Path, padding: str) -> StyleModule:
    """A small network, trained for 56 steps with the real module and data."""
    torch.manual_seed(0)
    net = StyleResnet(width=8, blocks=2)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and layer.padding_mode == "reflect":
            layer.padding_mode = padding
    loss = StyleLoss(name="vgg11", layers=(2, 5, 10), content_layer=5, layer_weights=(1, 1, 1), weights="none")
    module = StyleModule(net=net, loss=loss)
    stage = Stage(name="48 px", size=48, batch_size=4, epochs=4, lr=5e-3, warmup=0.1)
    data = StyleDataModule(cache_dir=cache, num_workers=0, crops=8, style_size=96)
    quick_fit(module, data, stage)
    return module


@pytest.mark.slow
def test_trained_network_paints_no_frame(tmp_path: Path) -> None:
    border, inside = border_roughness(trained(tmp_path, "reflect"))
    assert border == pytest.approx(inside, rel=0.2)
    border, inside = border_roughness(trained(tmp_path, "zeros"))
    assert border > 5 * inside  # zero padding paints a frame
