"""Averages over networks and scales, against means that are computed one by one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.cli.arguments import read_arguments
from experiments.cli.usage import UsageError
from models.segmentation.ensemble import SegmentationEnsemble, average_scales


class Shade(nn.Module):
    """Logits that depend on the brightness and on the size of the image."""

    def __init__(self, classes: int, weight: float) -> None:
        super().__init__()
        self.classes, self.weight = classes, weight

    def forward(self, image: Tensor) -> Tensor:
        gray = image.mean(dim=1, keepdim=True) * self.weight
        return torch.cat([gray * (number + 1) - image.shape[-1] / 50 * number for number in range(self.classes)], dim=1)


IMAGE = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("classes", [1, 4])
def test_mean_of_networks_and_scales(classes: int) -> None:
    nets = [Shade(classes, 1.0), Shade(classes, -2.0)]
    ensemble = SegmentationEnsemble(nets, scales=(0.75, 1, 1.25), one_class=classes == 1)
    convert = torch.sigmoid if classes == 1 else lambda logits: logits.softmax(dim=1)
    expected = torch.zeros(2, classes, 32, 48)
    for height, width in ((24, 36), (32, 48), (40, 60)):
        shrinks = height < 32
        scaled = F.interpolate(IMAGE, (height, width), mode="bilinear", antialias=shrinks)
        for net in nets:
            probs = convert(net(scaled))
            expected += F.interpolate(probs, (32, 48), mode="bilinear", antialias=height > 32) / 6
    torch.testing.assert_close(convert(ensemble(IMAGE)), expected)


def test_one_scale_leaves_the_network() -> None:
    net = Shade(1, 1.0)
    assert average_scales(net, [1.0], one_class=True) is net
    twice = average_scales(SegmentationEnsemble([net, net], one_class=True), [0.5, 1], one_class=True)
    assert isinstance(twice, SegmentationEnsemble)
    assert len(twice.nets) == 2
    with pytest.raises(ValueError, match="above 0 and at most 4"):
        average_scales(net, [1.0, 0.0], one_class=True)


def test_further_checkpoints_of_the_command_line() -> None:
    words = ["--task", "segment", "predict", "--ckpt_path", "a.ckpt", "b.ckpt", "c.safetensors", "x.jpg", "--flip"]
    arguments = read_arguments(words)
    assert (arguments.ckpt_path, arguments.command) == ("a.ckpt", "predict")
    assert arguments.more_checkpoints == (Path("b.ckpt"), Path("c.safetensors"))
    assert arguments.flags == ("x.jpg", "--flip")
    assert read_arguments(["--task", "segment", "--ckpt_path=a.ckpt", "b.ckpt", "test"]).command == "test"
    with pytest.raises(UsageError, match="export takes one checkpoint"):
        read_arguments(["--task", "segment", "export", "--ckpt_path", "a.ckpt", "b.ckpt"])
