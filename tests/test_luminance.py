"""The luminance loss: against NumPy's correlation, by hand, and its invariances."""

import numpy as np
import pytest
import torch

from models.losses.luminance import luminance_loss


def images(seed: int, size: tuple[int, int] = (24, 32), count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def test_value_is_1_minus_numpys_correlation() -> None:
    a, b = images(1, count=1).double(), images(2, count=1).double()
    gray = [np.tensordot([0.299, 0.587, 0.114], x[0].numpy(), 1).ravel() for x in (a, b)]
    assert luminance_loss(a, b, cell=1).item() == pytest.approx(1 - np.corrcoef(*gray)[0, 1], abs=0.01)
    squares = [x.reshape(6, 4, 8, 4).mean((1, 3)).ravel() for x in (g.reshape(24, 32) for g in gray)]
    assert luminance_loss(a, b, cell=4).item() == pytest.approx(1 - np.corrcoef(*squares)[0, 1], abs=0.05)


def test_same_scaled_and_negative_image() -> None:
    x = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    for other, expected in ((x, 0), (0.3 + 0.5 * x, 0), (1 - x, 2)):
        assert luminance_loss(x, other, cell=1).item() == pytest.approx(expected, abs=0.01)
    assert luminance_loss(x, x).item() == 0.0


def test_fine_texture_and_hue_are_ignored() -> None:
    image = torch.zeros(1, 3, 32, 48)
    image[..., 16:] = 0.5
    striped = image.clone()
    striped[..., ::2] += 0.2
    striped[..., 1::2] -= 0.2
    green = image.clone()
    green[:, 0] -= 0.2 / 0.299
    green[:, 1] += 0.2 / 0.587
    for free in (striped, green):
        assert luminance_loss(free, image).item() == pytest.approx(0, abs=1e-5)


def test_flat_and_small_images_have_finite_gradients() -> None:
    flat, other = torch.full((1, 3, 48, 48), 0.4), images(3, (48, 48), count=1).requires_grad_()
    assert luminance_loss(flat, flat).item() == 0.0
    lost = luminance_loss(other, flat)
    lost.sum().backward()
    assert 0 < lost.item() <= 0.5
    assert other.grad is not None
    assert other.grad.isfinite().all()
    for size in ((1, 1), (5, 40), (17, 31)):
        assert luminance_loss(images(1, size), images(2, size)).isfinite().all()


def test_gradient_is_right() -> None:
    preds, content = images(1, (4, 6), count=1).double().requires_grad_(), images(2, (4, 6), count=1).double()
    assert torch.autograd.gradcheck(lambda x: luminance_loss(x, content, cell=2), preds)


def test_value_is_per_image_in_float32() -> None:
    a, b = images(1, (40, 48), count=3), images(2, (40, 48), count=3)
    each = luminance_loss(a, b)
    torch.testing.assert_close(luminance_loss(a[1:2], b[1:2])[0], each[1])
    assert luminance_loss(a.bfloat16(), b).dtype == torch.float32
    assert luminance_loss(a.double(), b.double()).dtype == torch.float64
