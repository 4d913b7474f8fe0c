"""The style loss: its value by direct use of torchvision, and its properties."""

import copy
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.losses.gram import color_moments
from models.losses.style import StyleLoss, total_variation
from models.weights.pretrained import WeightsError
from tests.helpers.tiny_vgg import file_of, plainly, theirs

LAYERS = (1, 4, 7, 9)  # of vgg11, whose third is content


def random_images(seed: int = 1, size: tuple[int, int] = (24, 32), count: int = 2) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def tiny(**options: Any) -> StyleLoss:
    """A loss with a small random VGG and no style yet."""
    return StyleLoss(**{"name": "vgg11", "layers": LAYERS, "weights": "none"} | options)


def ready(**options: Any) -> StyleLoss:
    """The same with style and normalization."""
    loss = tiny(**options)
    loss.set_style(random_images(7, (30, 20))[0])
    loss.calibrate(random_images(8))
    return loss


def total(parts: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(parts.values())).sum()


def gram(features: Tensor) -> Tensor:
    return torch.einsum("nchw,ndhw->ncd", features, features) / features[0].numel()


def test_value_agrees_with_a_direct_computation(tmp_path: Path) -> None:
    plain = theirs("vgg16_bn", up_to=42)
    weights = (0.025, 0.275, 5.0, 0.2)
    loss = StyleLoss(
        layer_weights=weights, content_weight=1e4, style_weight=1e12, balance=False, weights=file_of(plain, tmp_path)
    )
    style, preds, content = random_images(3, (40, 36))[:1], random_images(1), random_images(2)
    loss.set_style(style[0])
    parts = loss(preds, content)
    ours, image, painting = (plainly(plain, (12, 22, 32, 42), x) for x in (preds, content, style))
    expected = {"content": 1e4 * (ours[2] - image[2]).square().mean()}
    for layer, weight, a, b in zip((12, 22, 32, 42), weights, ours, painting, strict=True):
        expected[f"style_{layer}"] = weight * (1e6 * gram(a) - 1e6 * gram(b)).square().mean()
    assert list(parts) == list(expected)
    for name, part in parts.items():
        assert part.item() == pytest.approx(expected[name].item(), rel=1e-3), name
        assert part.item() > 1e-3


@pytest.mark.parametrize(
    ("name", "layers"), [("vgg16_bn", (12, 22, 32, 42)), ("vgg16", (8, 15, 22, 29)), ("vgg19", (8, 17, 26, 35))]
)
def test_default_layers_depend_on_the_network(name: Any, layers: tuple[int, ...]) -> None:
    loss = StyleLoss(name=name)
    assert loss.layers == layers
    assert loss.content_layers == (layers[2],)


def test_loss_of_an_image_with_itself_is_0() -> None:
    loss = tiny(luminance_weight=1.0, color_weight=1.0, tv_weight=0.0)
    image = random_images(count=1)
    loss.set_style(image[0])
    loss.calibrate(random_images(5))
    assert [part.item() for part in loss(image, image).values()] == [0.0] * 7


def test_balanced_parts_are_1_on_untouched_images() -> None:
    loss = tiny(
        layer_weights=(0.1, 0.2, 0.3, 0.4),
        style_weight=10,
        content_weight=3,
        luminance_weight=2,
        color_weight=6,
        tv_weight=0.5,
    )
    loss.set_style(random_images(7)[0])
    images = torch.cat([random_images(8), random_images(9) ** 2])
    loss.calibrate(images)
    parts = {name: part.item() for name, part in loss(images, images).items()}
    assert parts == pytest.approx(
        {"content": 0, "luminance": 0, "style_1": 1, "style_4": 2, "style_7": 3, "style_9": 4, "color": 6, "tv": 0.5},
        rel=1e-4,
    )
    shown = loss.features(images)[2]  # type: ignore[misc]
    alike = (shown - shown.mean((2, 3), keepdim=True)).square().mean()
    assert loss.units[0].item() == pytest.approx(alike.item(), rel=1e-4)


def test_luminance_part_compares_with_the_content() -> None:
    image = torch.linspace(0, 1, 64).expand(1, 3, 48, 64)
    loss = ready(luminance_weight=3.0)
    assert loss(0.2 + 0.5 * image, image)["luminance"].item() == pytest.approx(0, abs=0.01)
    assert loss(1 - image, image)["luminance"].item() == pytest.approx(3 * 2, rel=0.01)


def test_color_part_by_hand_is_independent_of_position() -> None:
    loss = tiny(color_weight=1.0, balance=False)
    loss.set_style(torch.zeros(3, 24, 32))
    red = torch.zeros(1, 3, 24, 32)
    red[:, 0] = 1
    # of the 16 means of products over (red, green, blue, 1), three are 1/4 where black's are 0
    assert loss(red, red)["color"].item() == pytest.approx(3 / 4**2 / 16, rel=1e-6)
    loss.set_style(random_images(7)[0])
    preds = random_images(1)
    mixed = preds.flatten(2)[:, :, torch.randperm(24 * 32, generator=torch.Generator().manual_seed(0))].view_as(preds)
    found, expected = loss(mixed, preds), loss(preds, preds)
    assert found["color"].item() == pytest.approx(expected["color"].item(), rel=1e-4)
    assert found["style_4"].item() != pytest.approx(expected["style_4"].item(), rel=1e-3)


def test_color_part_is_0_for_equal_means_and_covariances() -> None:
    """Color statistics of an image, computed with NumPy."""
    image = random_images(1, count=1) ** 2
    colors = image[0].flatten(1).double().numpy()
    means = np.append(colors.mean(1), 1)
    expected = np.outer(means, means)
    expected[:3, :3] += np.cov(colors, bias=True)
    np.testing.assert_allclose(4 * color_moments(image)[0].numpy(), expected, rtol=1e-5)


def test_balanced_parts_do_not_depend_on_the_scale_of_the_weights(tmp_path: Path) -> None:
    """The same network with ten times larger activations gives the same loss; without balance a far larger one."""
    plain = theirs("vgg11", up_to=9)
    for module in plain:
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
    large = copy.deepcopy(plain)
    large.get_parameter("0.weight").data.mul_(10)
    found = {}
    for balance in (True, False):
        for name, layers in (("plain", plain), ("large", large)):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            loss = ready(weights=file_of(layers, folder), balance=balance)
            found[name, balance] = total(loss(random_images(1), random_images(2))).item()
    assert found["large", True] == pytest.approx(found["plain", True], rel=1e-3)
    assert found["large", False] > 50 * found["plain", False]


def test_style_equal_to_content_and_flat_images_stay_finite() -> None:
    loss = tiny(tv_weight=1.0)
    loss.set_style(random_images(1)[0])
    for image in (random_images(1)[:1], torch.full((1, 3, 24, 24), 0.5)):
        loss.calibrate(image)
        preds = random_images(3, image.shape[2:], count=1).requires_grad_()  # type: ignore[arg-type]
        parts = loss(preds, image)
        total(parts).backward()
        assert all(part.isfinite() for part in parts.values())
        assert preds.grad is not None
        assert preds.grad.isfinite().all()


def test_loss_is_per_image_and_independent_of_batch_order() -> None:
    loss = ready()
    preds, content = random_images(1, count=4), random_images(2, count=4)
    each = loss.per_image(preds, content)
    alone = torch.cat([loss.per_image(p[None], c[None]) for p, c in zip(preds, content, strict=True)])
    torch.testing.assert_close(each, alone)
    swapped = preds.roll(2, 0), content.roll(2, 0)
    torch.testing.assert_close(loss.per_image(*swapped).roll(2, 0), each)
    torch.testing.assert_close(total(loss(*swapped)), total(loss(preds, content)))
    torch.testing.assert_close(total(loss(preds, content)), each.mean())
    assert each.std() > 1e-4


def test_sizes_of_content_and_style_are_independent() -> None:
    loss = tiny()
    loss.set_style(random_images(7, (33, 57))[0])
    loss.calibrate(random_images(8, (16, 40)))
    assert total(loss(random_images(1, (23, 48)), random_images(2, (23, 48)))).isfinite()


def test_gradient_is_right_and_reaches_the_image_alone() -> None:
    loss = ready(
        name="vgg11", layers=(1, 4), layer_weights=(0.5, 0.5), luminance_weight=1, color_weight=1, tv_weight=0.1
    ).double()
    preds, content = random_images(1, (4, 4))[:1].double().requires_grad_(), random_images(2, (4, 4))[:1].double()
    content.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: total(loss(x, content)), preds, atol=1e-4)
    total(loss(preds, content)).backward()
    assert content.grad is None


def test_bf16_runs_the_network_and_compares_in_float32() -> None:
    loss = ready(tv_weight=0.1)
    full = loss(random_images(1), random_images(2))
    with torch.autocast("cpu", torch.bfloat16):
        parts = loss(random_images(1), random_images(2))
        assert loss.features(random_images())[0].dtype == torch.bfloat16  # type: ignore[misc]
    for name, part in parts.items():
        assert part.dtype == torch.float32
        assert part.item() == pytest.approx(full[name].item(), rel=0.05)


def test_checkpoint_holds_style_and_normalization_without_vgg() -> None:
    loss = ready(tv_weight=0.1)
    state = loss.state_dict()
    assert set(state) == {*(f"gram_{layer}" for layer in LAYERS), "gram_color", "units", "style_origin"}
    assert list(loss.parameters()) == []
    file = io.BytesIO()
    torch.save(state, file)
    assert len(file.getvalue()) < 900_000
    file.seek(0)
    again = tiny(tv_weight=0.1)
    assert not again.has_style
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.has_style
    assert again.calibrated
    assert again(random_images(1), random_images(2)) == loss(random_images(1), random_images(2))


def test_constructor_loads_no_weights() -> None:
    loss = StyleLoss(weights="nowhere.pth")
    assert loss.features is None
    assert loss.weights_origin == "not loaded"
    with pytest.raises(WeightsError, match=r"nowhere\.pth is neither a file"):
        loss.load()


def test_style_computed_with_other_weights_is_refused(tmp_path: Path) -> None:
    state = ready().state_dict()
    for other in (tiny(seed=1), tiny(weights=file_of(theirs("vgg11", up_to=9), tmp_path))):
        other.load_state_dict(state)
        with pytest.raises(WeightsError, match="other VGG weights than those found now"):
            other.load()
        other.set_style(random_images()[0])  # a new painting is looked at anew
        other.load()


def test_new_style_resets_the_normalization() -> None:
    loss = ready()
    before = loss.state_dict()["gram_4"].clone()
    loss.set_style(random_images(11)[0])
    assert not torch.equal(loss.state_dict()["gram_4"], before)
    assert not loss.calibrated
    with pytest.raises(RuntimeError, match=r"call calibrate\(images\)"):
        loss(random_images(1), random_images(2))


def test_missing_style_and_calibration_are_reported() -> None:
    loss = tiny()
    with pytest.raises(RuntimeError, match=r"call set_style\(image\)"):
        loss(random_images(1), random_images(2))
    with pytest.raises(RuntimeError, match=r"call set_style\(image\)"):
        loss.calibrate(random_images())
    with pytest.raises(ValueError, match=r"preds \(2, 3, 24, 32\) and content \(2, 3, 24, 24\) must have one shape"):
        ready()(random_images(), random_images(size=(24, 24)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content_layer": 2}, r"content_layer=2 must be one of the layers \[1, 4, 7, 9\]"),
        ({"layer_weights": (1, 1)}, "layer_weights has 2 numbers for 4 layers"),
        ({"style_weight": -1}, "no weight may be negative"),
        ({"color_weight": -0.5}, "no weight may be negative"),
        ({"luminance_weight": -0.5}, "no weight may be negative"),
        ({"layers": (4, 1, 7, 9)}, "in ascending order"),
        ({"layers": (1, 4, 7, 99)}, "the features of vgg11 are 0 to 20"),
        ({"name": "resnet18"}, "'resnet18' is no VGG of torchvision"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_total_variation_by_hand() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(3).expand(1, 3, 4, 6)  # every step sideways is 1, none downwards
    assert total_variation(stripes).tolist() == [1.0]
    assert total_variation(torch.full((2, 3, 4, 4), 0.3)).tolist() == [0.0, 0.0]


def test_auto_without_weights_warns_once(caplog: pytest.LogCaptureFixture, no_weights: None) -> None:
    loss = tiny(weights="auto")
    with caplog.at_level(logging.WARNING, logger="darkroom"):
        loss.load()
        loss.load()
    assert len(caplog.messages) == 1
    assert "RANDOM" in caplog.messages[0]
    assert loss.random
    assert "random" in loss.weights_origin
