"""VGG features and perceptual losses, against direct use of torchvision's networks."""

import copy
import io
import logging
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from models.losses.perceptual import PerceptualLoss
from models.losses.pixel import CharbonnierLoss, L1Loss, MSELoss
from models.losses.vgg import VggFeatures
from models.weights.pretrained import WeightsError
from tests.helpers.tiny_vgg import file_of, plainly, theirs


def images(seed: int = 1, size: tuple[int, int] = (24, 33)) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("name", "layers"),
    [("vgg16_bn", (5, 12, 22)), ("vgg16", (3, 8, 15)), ("vgg19", (0, 3, 26)), ("vgg16_bn", (0, 1, 3, 4, 6))],
)
def test_features_are_those_of_torchvision(name: str, layers: tuple[int, ...], tmp_path: Path) -> None:
    """Including convolutions and batch norms, whose output torchvision's in-place ReLU overwrites."""
    plain = theirs(name, up_to=layers[-1])
    features = VggFeatures(name=name, layers=layers, weights=file_of(plain, tmp_path))  # type: ignore[arg-type]
    found = features.double()(images().double())
    for ours, expected in zip(found, plainly(plain.double(), layers, images().double()), strict=True):
        # In float64, since the order of the sums in float32 depends on the memory format; the mean and standard
        # deviation of the colors and the folded batch norms were rounded to float32.
        torch.testing.assert_close(ours, expected, rtol=0, atol=3e-7 * expected.abs().max().item())
    assert features.weights_origin.startswith("file vgg.pth")
    assert not features.random


def test_default_layers_are_the_activations_before_the_first_three_pools() -> None:
    with torch.device("meta"):
        features = torchvision.models.vgg16_bn(weights=None).features
    pools = [number for number, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    assert PerceptualLoss().layers == tuple(pool - 1 for pool in pools[:3])
    assert all(isinstance(features[number], nn.ReLU) for number in PerceptualLoss().layers)


def test_unused_layers_are_dropped() -> None:
    held = VggFeatures(layers=(5, 12), weights="none")._held[0]
    assert len(held) == 1 + 13
    assert isinstance(held[-1], nn.ReLU)


def test_loss_agrees_with_a_direct_computation(tmp_path: Path) -> None:
    plain = theirs("vgg16_bn", up_to=22)
    loss = PerceptualLoss(weights=file_of(plain, tmp_path))
    preds, target = images(1), images(2)
    parts = loss(preds, target)
    pairs = zip(plainly(plain, (5, 12, 22), preds), plainly(plain, (5, 12, 22), target), strict=True)
    maps = [(a - b).abs().mean().item() for a, b in pairs]
    assert list(parts) == ["pixel", "vgg5", "vgg12", "vgg22"]
    assert parts["pixel"].item() == pytest.approx((preds - target).abs().mean().item() / 100, rel=1e-5)
    assert [parts[f"vgg{n}"].item() for n in (5, 12, 22)] == pytest.approx(
        [0.2 * maps[0], 0.7 * maps[1], 0.1 * maps[2]], rel=1e-4
    )
    assert min(maps) > 0.01


def test_loss_of_an_image_with_itself_is_0_and_its_gradient_reaches_the_image_alone() -> None:
    loss = PerceptualLoss(weights="none")
    assert all(part.item() == 0 for part in loss(images(), images()).values())
    preds, target = images(1).requires_grad_(), images(2).requires_grad_()
    torch.stack(list(loss(preds, target).values())).sum().backward()
    assert preds.grad is not None
    assert preds.grad.abs().amin(dim=(0, 1)).mean() > 0
    assert target.grad is None


def test_gradient_is_right() -> None:
    loss = PerceptualLoss(name="vgg11", layers=(1, 4), layer_weights=(0.5, 0.5), weights="none")
    loss.load()
    loss.double()
    preds, target = images(1, (4, 4))[:1].double().requires_grad_(), images(2, (4, 4))[:1].double()
    assert torch.autograd.gradcheck(lambda x: torch.stack(list(loss(x, target).values())).sum(), preds, atol=1e-4)


def test_vgg_is_frozen_and_not_in_parameters() -> None:
    """It is not saved, trained, averaged or synchronized, and ``train()`` keeps its batch norm in eval mode."""
    loss = PerceptualLoss(weights="none")
    loss.load()
    module = nn.Sequential(nn.Conv2d(3, 3, 1), loss)
    assert set(module.state_dict()) == {"0.weight", "0.bias"}
    assert len(list(module.parameters())) == 2
    assert list(module.buffers()) == []
    module.train().requires_grad_(True)
    before = loss.features._held[0].state_dict()  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in before.items()}
    first = loss(images(1), images(2))
    again = loss(images(1), images(2))
    assert first == again
    after = loss.features._held[0].state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert not any(m.training for m in loss.features._held[0].modules())  # type: ignore[union-attr]
    assert not any(p.requires_grad for p in loss.features._held[0].parameters())  # type: ignore[union-attr]


def test_vgg_moves_with_the_module() -> None:
    loss = PerceptualLoss(weights="none")
    loss.load()
    module = nn.Sequential(loss)
    held = loss.features._held[0]  # type: ignore[union-attr]
    module.to(torch.float64)
    assert {p.dtype for p in held.parameters()} == {torch.float64}
    module.to("meta")
    assert {t.device.type for t in (*held.parameters(), *held.buffers())} == {"meta"}


def test_copies_and_checkpoints_work() -> None:
    loss = PerceptualLoss(weights="none")
    twin = copy.deepcopy(loss)
    assert [p.item() for p in twin(images(1), images(2)).values()] == [
        p.item() for p in loss(images(1), images(2)).values()
    ]
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    assert len(file.getvalue()) < 2000
    loss.load_state_dict({})


def test_random_features_depend_on_their_seed_only() -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = VggFeatures(weights="none")
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    again, other = VggFeatures(weights="none"), VggFeatures(weights="none", seed=1)
    for a, b, c in zip(first(images()), again(images()), other(images()), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    assert first.random
    assert first(images())[-1].std() > 0.1  # Kaiming: the signal does not die on its way


def test_bf16_runs_the_network_and_compares_in_float32() -> None:
    loss = PerceptualLoss(weights="none")
    full = loss(images(1), images(2))
    with torch.autocast("cpu", torch.bfloat16):
        parts = loss(images(1).requires_grad_(), images(2))
        assert loss.features(images())[0].dtype == torch.bfloat16  # type: ignore[misc]
    for name, part in parts.items():
        assert part.dtype == torch.float32
        assert part.item() == pytest.approx(full[name].item(), rel=0.02)


@pytest.mark.usefixtures("no_weights")
def test_auto_without_weights_falls_back_to_pixels_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    loss = PerceptualLoss()
    with caplog.at_level(logging.WARNING, logger="darkroom"):
        parts = loss(images(1), images(2))
        loss(images(1), images(2))
    assert list(parts) == ["pixel"]
    assert parts["pixel"].item() == pytest.approx((images(1) - images(2)).abs().mean().item())
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("TRAINING WITH A PIXEL LOSS ALONE")
    assert "vgg16_bn" in caplog.messages[0]
    assert "L1 of pixels alone" in loss.weights_origin


@pytest.mark.usefixtures("no_weights")
def test_features_without_weights(caplog: pytest.LogCaptureFixture) -> None:
    """For features alone, ``auto`` falls back to random weights; ``imagenet`` does not."""
    with caplog.at_level(logging.WARNING, logger="darkroom"):
        features = VggFeatures()
    assert features.random
    assert caplog.messages[0].startswith("THE LOSS USES RANDOM FEATURES")
    with pytest.raises(WeightsError, match="no ImageNet weights for vgg16_bn"):
        VggFeatures(weights="imagenet")
    with pytest.raises(WeightsError, match=r"nowhere\.pth is neither a file"):
        PerceptualLoss(weights="nowhere.pth").load()


def test_constructor_loads_no_weights() -> None:
    loss = PerceptualLoss(weights="nowhere.pth")
    assert loss.features is None
    assert loss.weights_origin == "not loaded"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (5, 44)}, "the features of vgg16_bn are 0 to 43"),
        ({"layers": ()}, "name at least one"),
        ({"layers": (12, 5)}, "in ascending order"),
        ({"name": "resnet18"}, "'resnet18' is no VGG of torchvision"),
    ],
)
def test_unknown_layers_and_names_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VggFeatures(**options, weights="none")  # type: ignore[arg-type]


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="layer_weights has 2 numbers for 3 layers"):
        PerceptualLoss(layer_weights=(1, 1))
    with pytest.raises(ValueError, match="no weight may be negative"):
        PerceptualLoss(pixel_weight=-1)
    with pytest.raises(ValueError, match=r"sides of at least 4, not \(2, 3, 3, 9\)"):
        VggFeatures(weights="none")(images(size=(3, 9)))
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\) cannot be compared with one of \(2, 3, 8, 9\)"):
        L1Loss()(images(size=(8, 8)), images(size=(8, 9)))


def test_pixel_losses_by_hand() -> None:
    preds, target = torch.tensor([[0.5, 0.25]]), torch.tensor([[0.5, 0.75]])
    assert MSELoss()(preds, target)["pixel"].item() == pytest.approx(0.125)
    assert L1Loss()(preds, target)["pixel"].item() == pytest.approx(0.25)
    # sqrt(0 + 0.01) = 0.1 and sqrt(0.25 + 0.01) = 0.509902
    assert CharbonnierLoss(eps=0.1)(preds, target)["pixel"].item() == pytest.approx((0.1 + 0.509902) / 2)
    with pytest.raises(ValueError, match="eps must be above 0, not 0"):
        CharbonnierLoss(eps=0)


@pytest.mark.parametrize("loss", [MSELoss(), L1Loss(), CharbonnierLoss()], ids=lambda loss: type(loss).__name__)
def test_pixel_losses_are_float32_with_finite_gradients(loss: nn.Module) -> None:
    preds = torch.full((1, 3, 4, 4), 0.5, dtype=torch.bfloat16, requires_grad=True)
    part = loss(preds, torch.full_like(preds, 0.5))["pixel"]
    part.backward()
    assert part.dtype == torch.float32
    assert preds.grad is not None
    assert preds.grad.isfinite().all()
