"""The calibration error of a test, against torchmetrics and by hand."""

import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from lightning_modules.calibration import MAX_PIXELS, CalibrationError


@pytest.mark.parametrize("seed", range(4))
def test_one_class_equals_torchmetrics(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    probs = torch.rand(3, 1, 40, 50, generator=draw)
    target = (torch.rand(3, 40, 50, generator=draw) < probs[:, 0] ** 2).byte()
    metric = CalibrationError(one_class=True)
    for one, mask in zip(probs, target, strict=True):
        metric.update(one, mask)
    expected = binary_calibration_error(probs.flatten(), target.flatten(), n_bins=15)
    torch.testing.assert_close(metric.compute(), expected, atol=2e-5, rtol=0)
    assert expected > 0.05


@pytest.mark.parametrize("seed", range(4))
def test_several_classes_equal_torchmetrics(seed: int) -> None:
    """Pixels of the value 255 count in neither."""
    draw = torch.Generator().manual_seed(seed)
    probs = torch.randn(2, 5, 30, 20, generator=draw).softmax(dim=1)
    target = torch.randint(0, 5, (2, 30, 20), generator=draw)
    target[:, :7] = 255
    metric = CalibrationError(one_class=False)
    for one, mask in zip(probs, target, strict=True):
        metric.update(one, mask.byte())
    flat = probs.movedim(1, -1).reshape(-1, 5)
    expected = multiclass_calibration_error(flat, target.flatten(), num_classes=5, n_bins=15, ignore_index=255)
    torch.testing.assert_close(metric.compute(), expected, atol=2e-5, rtol=0)


def test_by_hand_and_the_last_bin() -> None:
    """Four pixels of confidence 0.75, half of them right, and one of confidence 1 that is wrong."""
    metric = CalibrationError(one_class=True, bins=10)
    metric.update(torch.tensor([[[0.75, 0.75, 0.75, 0.75, 1.0]]]), torch.tensor([[1, 0, 1, 0, 0]]))
    torch.testing.assert_close(metric.compute(), torch.tensor((4 * 0.25 + 1) / 5))


def test_large_images_are_thinned_out() -> None:
    metric = CalibrationError(one_class=True)
    metric.update(torch.full((1, 1200, 1800), 0.5), torch.zeros(1200, 1800, dtype=torch.uint8))
    assert MAX_PIXELS / 2 < int(metric.sums[:, 0].sum()) <= MAX_PIXELS
    torch.testing.assert_close(metric.compute(), torch.tensor(0.5))


def test_without_pixels_it_is_nan() -> None:
    metric = CalibrationError(one_class=False)
    metric.update(torch.ones(2, 3, 3) / 2, torch.full((3, 3), 255))
    assert metric.compute().isnan()
