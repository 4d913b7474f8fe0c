import math
from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor

from models.losses.cross_entropy import bce, cross_entropy, outline
from models.losses.mask_target import IGNORE
from models.losses.overlap import binary_dice_loss, class_dice_loss
from models.losses.segmentation import LossOptions, binary_losses, class_losses

EVERY_PART = LossOptions(dice_weight=1.0, tversky_weight=1.0, lovasz_weight=1.0, focal_gamma=2.0)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


@pytest.fixture
def binary() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(3, 1, 9, 7, generator=g), (torch.rand(3, 9, 7, generator=g) > 0.6).float()


@pytest.fixture
def several() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (3, 9, 7), generator=g)
    target[0, :3] = IGNORE
    return torch.randn(3, 4, 9, 7, generator=g), target


def test_bce_by_hand() -> None:
    # probabilities 0.8 and 0.4 for shares 1 and 0.25: -ln 0.8 and -(0.25 ln 0.4 + 0.75 ln 0.6)
    logits = torch.tensor([logit(0.8), logit(0.4)]).view(1, 1, 1, 2)
    expected = (-math.log(0.8) - 0.25 * math.log(0.4) - 0.75 * math.log(0.6)) / 2
    assert bce(logits, torch.tensor([[[1.0, 0.25]]])).item() == pytest.approx(expected)


def test_edge_weight_by_hand() -> None:
    # columns 0 0 0 0 | 1 1 1 1: a window of radius 2 sees the step from columns 2, 3, 4 and 5
    target = torch.tensor([[[0.0] * 4 + [1.0] * 4]])
    assert outline(target).tolist() == [[[0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]
    # the pixel beside the step has p = 0.1 for the truth, all others are sure
    sure, poor = 40.0, logit(0.9)
    logits = torch.tensor([-sure, -sure, -sure, poor, sure, sure, sure, sure]).view(1, 1, 1, 8)
    miss = -math.log(0.1)
    assert bce(logits, target).item() == pytest.approx(miss / 8)
    assert bce(logits, target, edge=3.0).item() == pytest.approx((1 + 3) * miss / (4 * 4 + 4 * 1))


def test_edge_weight_depends_on_the_coverage() -> None:
    assert outline(torch.tensor([[[0.0, 0.0, 0.0, 0.25]]]), radius=1).tolist() == [[[0.0, 0.0, 0.25, 0.25]]]


def test_dice_by_hand() -> None:
    # p = 0.5, 0.5, 0.25 and t = 1, 0, 1: 1 - 2 * 0.75 / (1.25 + 2) = 7 / 13
    logits = torch.tensor([logit(0.5), logit(0.5), logit(0.25)]).view(1, 1, 1, 3)
    assert binary_dice_loss(logits, torch.tensor([[[1.0, 0.0, 1.0]]])).item() == pytest.approx(7 / 13)


def test_dice_loss_is_minimal_at_the_target_coverage() -> None:
    shares = torch.tensor([[[0.2, 0.7], [0.5, 0.9]]])
    exact = binary_dice_loss(torch.logit(shares).unsqueeze(1), shares)
    assert exact.item() == pytest.approx(0, abs=1e-6)
    for shift in (-0.3, 0.3):
        assert binary_dice_loss((torch.logit(shares) + shift).unsqueeze(1), shares) > exact + 0.01


def test_dice_agrees_with_segmentation_models_pytorch(binary: tuple[Tensor, Tensor]) -> None:
    """smp pools the images of a batch, so it is called per image."""
    logits, target = binary
    theirs = smp.losses.DiceLoss("binary", smooth=0.0)
    expected = torch.stack([theirs(logits[i : i + 1], target[i : i + 1, None]) for i in range(3)]).mean()
    torch.testing.assert_close(binary_dice_loss(logits, target), expected)


def test_empty_image_has_no_dice_loss_and_no_gradient(binary: tuple[Tensor, Tensor]) -> None:
    logits, target = binary
    target[1] = 0
    logits.requires_grad_()
    loss = binary_dice_loss(logits, target)
    others = binary_dice_loss(logits[[0, 2]], target[[0, 2]])
    torch.testing.assert_close(loss, others * 2 / 3)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[1].abs().max() == 0
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("value", [-1000.0, 1000.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_extreme_logits_stay_finite(value: float, truth: float) -> None:
    logits = torch.full((1, 1, 4, 4), value, requires_grad=True)
    total = sum(binary_losses(logits, torch.full((1, 4, 4), truth), EVERY_PART).values())
    assert isinstance(total, Tensor)
    total.backward()
    assert total.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_class_dice_agrees_with_one_class_at_a_time(several: tuple[Tensor, Tensor]) -> None:
    """smp per image and class, without ignored pixels and absent classes."""
    logits, target = several
    expected = []
    for scores, truth in zip(logits, target, strict=True):
        known = truth != IGNORE
        probs = scores.softmax(0)[:, known]
        theirs = smp.losses.DiceLoss("binary", from_logits=False, smooth=0.0)
        shown = truth[known].unique().tolist()
        losses = [theirs(probs[c].view(1, 1, 1, -1), (truth[known] == c).float().view(1, 1, 1, -1)) for c in shown]
        expected.append(torch.stack(losses).mean())
    torch.testing.assert_close(class_dice_loss(logits, target), torch.stack(expected).mean())


def test_cross_entropy_agrees_with_torch_image_by_image(several: tuple[Tensor, Tensor]) -> None:
    logits, target = several
    expected = [F.cross_entropy(x[None], t[None], ignore_index=255) for x, t in zip(logits, target, strict=True)]
    torch.testing.assert_close(cross_entropy(logits, target), torch.stack(expected).mean())


def test_only_ignored_pixels_give_zero() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    parts = class_losses(logits, torch.full((2, 4, 4), IGNORE), LossOptions(dice_weight=1.0))
    assert {name: part.item() for name, part in parts.items()} == {"cross_entropy": 0.0, "dice": 0.0}
    sum(parts.values(), torch.tensor(0.0)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_parts_by_name_and_weight(binary: tuple[Tensor, Tensor], several: tuple[Tensor, Tensor]) -> None:
    parts = binary_losses(*binary, LossOptions(dice_weight=0.5))
    torch.testing.assert_close(parts["bce"], bce(*binary))
    torch.testing.assert_close(parts["dice"], 0.5 * binary_dice_loss(*binary))
    assert set(binary_losses(*binary, LossOptions())) == {"bce"}
    assert set(class_losses(*several, LossOptions())) == {"cross_entropy"}
    torch.testing.assert_close(
        class_losses(*several, LossOptions(dice_weight=2.0))["dice"], 2 * class_dice_loss(*several)
    )


@pytest.mark.parametrize("loss", [bce, binary_dice_loss, lambda x, t: bce(x, t, edge=2.0)])
def test_gradients_of_one_class(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 4, 3, generator=g, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 4, 3, generator=g, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits,))


@pytest.mark.parametrize("loss", [cross_entropy, class_dice_loss])
def test_gradients_of_several_classes(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 3, generator=g, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 3), generator=g)
    target[0, 0] = IGNORE
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits,))


def test_float32_under_autocast(binary: tuple[Tensor, Tensor], several: tuple[Tensor, Tensor]) -> None:
    """bf16 logits give the loss of their float32 copies; in bf16, 256 + 1 is 256."""
    for losses, (logits, target) in ((binary_losses, binary), (class_losses, several)):
        rough = logits.bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            inside = losses(rough, target, EVERY_PART)
        outside = losses(rough.float(), target, EVERY_PART)
        for name, part in inside.items():
            assert part.dtype == torch.float32
            torch.testing.assert_close(part, outside[name])


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 2, 4, 4), (2, 1, 4, 5)])
def test_shapes_that_would_broadcast_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"needs logits \(N, 1, H, W\) and a target \(N, H, W\)"):
        bce(torch.zeros(shape), torch.zeros(2, 4, 4))
