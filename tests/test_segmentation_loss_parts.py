"""Focal, Tversky and Lovasz losses and class weights, against other implementations and by hand."""

import math
from collections.abc import Callable

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from models.losses.cross_entropy import bce, cross_entropy
from models.losses.lovasz import binary_lovasz_loss, class_lovasz_loss
from models.losses.mask_target import IGNORE
from models.losses.overlap import (
    binary_dice_loss,
    binary_tversky_loss,
    class_dice_loss,
    class_tversky_loss,
)
from models.losses.segmentation import LossOptions, binary_losses, class_losses


@pytest.fixture
def binary() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    target = (torch.rand(3, 9, 7, generator=g) > 0.6).float()
    target[0, :2] = IGNORE
    return torch.randn(3, 1, 9, 7, generator=g), target


@pytest.fixture
def several() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (3, 9, 7), generator=g)
    target[0, :3] = IGNORE
    target[1][target[1] == 2] = 0  # a class that is absent from one image
    return torch.randn(3, 4, 9, 7, generator=g), target


def test_focal_loss_agrees_with_torchvision(binary: tuple[Tensor, Tensor]) -> None:
    logits, target = binary
    known = target != IGNORE
    expected = [
        sigmoid_focal_loss(x[0][k], t[k], alpha=-1, gamma=2.0, reduction="mean")
        for x, t, k in zip(logits, target, known, strict=True)
    ]
    torch.testing.assert_close(bce(logits, target, gamma=2.0), torch.stack(expected).mean())
    # Softmax over two classes is the sigmoid of the difference of their logits.
    pair = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(cross_entropy(pair, target.long(), gamma=2.0), torch.stack(expected).mean())


def test_focal_loss_is_minimal_at_the_target_coverage() -> None:
    shares = torch.tensor([[[0.2, 0.7], [0.5, 0.9]]])
    assert bce(torch.logit(shares).unsqueeze(1), shares, gamma=2.0).item() == pytest.approx(0, abs=1e-6)


def test_class_weights_agree_with_torch_image_by_image(several: tuple[Tensor, Tensor]) -> None:
    logits, target = several
    weights = torch.tensor([0.5, 1.0, 4.0, 2.0])
    expected = [
        F.cross_entropy(x[None], t[None], weight=weights, ignore_index=IGNORE)
        for x, t in zip(logits, target, strict=True)
    ]
    torch.testing.assert_close(cross_entropy(logits, target, class_weights=weights), torch.stack(expected).mean())
    plain = class_losses(logits, target, LossOptions(dice_weight=1.0))
    weighted = class_losses(logits, target, LossOptions(dice_weight=1.0), class_weights=weights)
    assert weighted["cross_entropy"] != plain["cross_entropy"]
    assert weighted["dice"] == plain["dice"]


def test_class_weights_by_hand() -> None:
    # probabilities of the truth 1/2 (class 0, weight 1) and 1/4 (class 1, weight 3): (1 ln 2 + 3 ln 4) / 4
    probs = torch.tensor([[0.5, 0.75], [0.5, 0.25]]).view(1, 2, 1, 2)
    loss = cross_entropy(probs.log(), torch.tensor([[[0, 1]]]), class_weights=torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx((math.log(2) + 3 * math.log(4)) / 4)


def test_tversky_by_hand() -> None:
    # p = 0.5, 0.5, 0.25 and t = 1, 0, 1: TP 0.75, FP 0.5, FN 1.25
    logits = torch.logit(torch.tensor([0.5, 0.5, 0.25])).view(1, 1, 1, 3)
    expected = 1 - 0.75 / (0.75 + 0.3 * 0.5 + 0.7 * 1.25)
    loss = binary_tversky_loss(logits, torch.tensor([[[1.0, 0.0, 1.0]]]), alpha=0.3, beta=0.7)
    assert loss.item() == pytest.approx(expected)


def test_tversky_of_equal_weights_is_dice(binary: tuple[Tensor, Tensor], several: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(binary_tversky_loss(*binary, alpha=0.5, beta=0.5), binary_dice_loss(*binary))
    torch.testing.assert_close(class_tversky_loss(*several, alpha=0.5, beta=0.5), class_dice_loss(*several))


def test_lovasz_hinge_agrees_with_segmentation_models_pytorch(binary: tuple[Tensor, Tensor]) -> None:
    logits, target = binary
    theirs = smp.losses.LovaszLoss("binary", per_image=True, ignore_index=IGNORE)
    torch.testing.assert_close(binary_lovasz_loss(logits, target), theirs(logits, target))


def test_lovasz_softmax_agrees_with_segmentation_models_pytorch(several: tuple[Tensor, Tensor]) -> None:
    logits, target = several
    theirs = smp.losses.LovaszLoss("multiclass", per_image=True, ignore_index=IGNORE, from_logits=True)
    torch.testing.assert_close(class_lovasz_loss(logits, target), theirs(logits, target))


def test_lovasz_of_certain_predictions_is_one_minus_the_iou() -> None:
    # right, missed, extra, background: one of three pixels, IoU 1/3
    target, preds = torch.tensor([[[1, 1, 0, 0]]]), torch.tensor([1, 0, 1, 0])
    logits = 200.0 * F.one_hot(preds, 2).T.view(1, 2, 1, 4).float()
    # class 1: IoU 1/3; class 0: pixels 3 and 4, predicted 2 and 4: IoU 1/3
    assert class_lovasz_loss(logits, target).item() == pytest.approx(1 - 1 / 3)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, t: bce(x, t, gamma=0.5),
        lambda x, t: binary_tversky_loss(x, t, alpha=0.3, beta=0.7),
        lambda x, t: binary_lovasz_loss(x, t),
    ],
)
def test_gradients_of_one_class(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 4, 3, generator=g, dtype=torch.float64, requires_grad=True)
    target = (torch.rand(2, 4, 3, generator=g, dtype=torch.float64) > 0.5).double()
    target[0, 0] = IGNORE
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits,))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, t: cross_entropy(x, t, gamma=2.0, class_weights=torch.tensor([1.0, 2.0, 3.0])),
        lambda x, t: class_tversky_loss(x, t, alpha=0.3, beta=0.7),
        lambda x, t: class_lovasz_loss(x, t),
    ],
)
def test_gradients_of_several_classes(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 3, generator=g, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 3), generator=g)
    target[0, 0] = IGNORE
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits,))


def test_parts_of_weight_zero_are_left_out(binary: tuple[Tensor, Tensor], several: tuple[Tensor, Tensor]) -> None:
    options = LossOptions(cross_entropy_weight=0.0, tversky_weight=0.5, lovasz_weight=2.0)
    parts = binary_losses(*binary, options)
    assert set(parts) == {"tversky", "lovasz"}
    torch.testing.assert_close(parts["lovasz"], 2 * binary_lovasz_loss(*binary))
    parts = class_losses(*several, options)
    torch.testing.assert_close(parts["tversky"], 0.5 * class_tversky_loss(*several, alpha=0.3, beta=0.7))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lovasz_weight": -1.0}, "lovasz_weight must be 0 or more, not -1.0"),
        ({"cross_entropy_weight": 0.0}, "the loss has no part"),
        ({"tversky_weight": 1.0, "tversky_alpha": 0.0}, "tversky_alpha and tversky_beta must be above 0"),
        ({"dice_weight": math.nan}, "dice_weight must be 0 or more, not nan"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossOptions(**options)
