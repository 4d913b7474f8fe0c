"""The recipe of Johnson et al. 2016: its layers, and its loss by direct use of torchvision and NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.cli.settings import read_settings
from experiments.tasks.table import TASKS
from models.losses.style import StyleLoss
from tests.helpers.tiny_vgg import file_of, plainly, theirs

RECIPE = TASKS["style"].recipe_file("johnson")
STYLE, CONTENT = (3, 8, 15, 22), (8, 15)


def images(seed: int, count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def gram(features: Tensor) -> Tensor:
    """By NumPy: inner products of the channels of each image, divided by C H W."""
    rows = features.detach().flatten(2).double().numpy()
    return torch.from_numpy(np.stack([one @ one.T / one.size for one in rows]))


def test_layers_are_those_of_the_paper() -> None:
    """relu1_2, relu2_2, relu3_3 and relu4_3 of VGG16 by counting convolutions and pools."""
    names, block, conv = {}, 1, 0
    for number, layer in enumerate(theirs("vgg16", up_to=29)):
        conv += isinstance(layer, nn.Conv2d)
        if isinstance(layer, nn.ReLU):
            names[number] = f"relu{block}_{conv}"
        if isinstance(layer, nn.MaxPool2d):
            block, conv = block + 1, 0
    loss = read_settings(RECIPE)["model"]["loss"]["init_args"]
    assert [names[layer] for layer in loss["layers"]] == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
    assert [names[layer] for layer in loss["content_layer"]] == ["relu2_2", "relu3_3"]


def test_loss_equals_a_direct_computation(tmp_path: Path) -> None:
    plain = theirs("vgg16", up_to=22)
    options = read_settings(RECIPE)["model"]["loss"]["init_args"] | {"weights": file_of(plain, tmp_path)}
    loss = StyleLoss(**options)
    style, preds, content = images(3, 1, 40, 36), images(1, 2, 24, 32), images(2, 2, 24, 32)
    loss.set_style(style[0])
    found = {name: part.item() for name, part in loss(preds, content).items()}
    ours, image, painting = (dict(zip(STYLE, plainly(plain, STYLE, x), strict=True)) for x in (preds, content, style))
    expected = {"content": 1e5 * sum((ours[n] - image[n]).square().mean().item() for n in CONTENT)}
    for layer in STYLE:
        expected[f"style_{layer}"] = 1e10 * (gram(ours[layer]) - gram(painting[layer])).square().mean().item()
    differences = [np.abs(np.diff(preds.numpy(), axis=axis)).mean() for axis in (2, 3)]
    expected["tv"] = 1e2 * float(sum(differences))
    assert found == {name: pytest.approx(value, rel=1e-3) for name, value in expected.items()}
    assert all(value > 0 for value in found.values())


def test_schedule_is_that_of_the_paper() -> None:
    (stage,) = read_settings(RECIPE)["stages"]
    assert (stage["batch_size"], stage["size"], stage["epochs"], stage["lr"]) == (4, 256, 2, 1e-3)
