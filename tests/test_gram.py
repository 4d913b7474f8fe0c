"""Gram matrices by their properties."""

import numpy as np
import pytest
import torch

from models.losses.gram import gram_matrix


def features(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(8, 8), (5, 3), (1, 1)])
def test_gram_matrix_of_ones_is_one_over_the_channels(size: tuple[int, int]) -> None:
    assert torch.equal(gram_matrix(torch.ones(2, 4, *size)), torch.full((2, 4, 4), 0.25))


def test_value_agrees_with_numpy() -> None:
    x = features(2, 3, 4, 5)
    expected = np.einsum("nchw,ndhw->ncd", x.numpy(), x.numpy()) / (3 * 4 * 5)
    torch.testing.assert_close(gram_matrix(x), torch.from_numpy(expected))


def test_gram_matrix_is_per_image() -> None:
    x = features(3, 4, 6, 6)
    other = torch.cat([x[:1], features(2, 4, 6, 6, seed=1)])
    torch.testing.assert_close(gram_matrix(x)[0], gram_matrix(other)[0])
    assert not torch.equal(gram_matrix(x)[1], gram_matrix(other)[1])


def test_gram_matrix_is_invariant_to_position_and_size() -> None:
    x = features(1, 3, 4, 6)
    shuffled = x.flatten(2)[..., torch.randperm(24, generator=torch.Generator().manual_seed(2))].view(1, 3, 8, 3)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(x))
    torch.testing.assert_close(gram_matrix(x.repeat(1, 1, 2, 3)), gram_matrix(x))


def test_gradient_is_right() -> None:
    assert torch.autograd.gradcheck(gram_matrix, features(2, 3, 4, 2).double().requires_grad_())


def test_bf16_autocast_sums_in_float32() -> None:
    """4097 ones: bfloat16 would give 4096 even if it could hold the sum so far."""
    x = torch.ones(1, 2, 4097, 1, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        gram = gram_matrix(x)
    assert gram.dtype == torch.float32
    assert torch.equal(gram, torch.full((1, 2, 2), 0.5))
