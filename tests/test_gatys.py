"""Pixel optimization on a loss with a known minimum and on the style loss."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from experiments.cli.main import main
from models.losses.random_filters import natural_noise
from models.losses.style import StyleLoss
from models.style.gatys import adam, lbfgs, optimize_pixels

TARGET = torch.linspace(-0.2, 1.2, 3 * 4 * 5).view(1, 3, 4, 5)  # partly beyond what pixels can be


def distance(pixels: Tensor) -> Tensor:
    return (pixels - TARGET).square().sum()


@pytest.mark.parametrize(("optimizer", "iterations"), [(lbfgs, 20), (adam, 150)])
def test_converges_to_the_minimum(optimizer: Callable[[Tensor], Optimizer], iterations: int) -> None:
    start = torch.full_like(TARGET, 0.5)
    seen: list[tuple[int, float]] = []
    done = optimize_pixels(
        distance, start, iterations=iterations, optimizer=optimizer, on_iteration=lambda *told: seen.append(told)
    )
    torch.testing.assert_close(done.image, TARGET.clamp(0, 1), atol=2e-3, rtol=0)
    assert torch.equal(start, torch.full_like(TARGET, 0.5))
    assert seen == list(enumerate(done.losses, 1))
    assert len(seen) == iterations
    assert done.losses[0] == pytest.approx(distance(start).item())
    assert done.losses == sorted(done.losses, reverse=True)
    assert done.loss_at(iterations) == pytest.approx(distance(done.image).item(), rel=1e-5)


@pytest.mark.parametrize("optimizer", [lbfgs, adam])
def test_iteration_is_one_evaluation(optimizer: Callable[[Tensor], Optimizer]) -> None:
    calls = []

    def counted(pixels: Tensor) -> Tensor:
        calls.append(1)
        return distance(pixels)

    optimize_pixels(counted, torch.full_like(TARGET, 0.5), iterations=7, optimizer=optimizer)
    assert len(calls) == 7


def test_best_image_is_kept_when_the_loss_becomes_non_finite() -> None:
    values = iter([5.0, 3.0, 4.0, float("nan"), 1.0])
    images = []

    def breaks(pixels: Tensor) -> Tensor:
        images.append(pixels.detach().clone())
        return pixels.sum() * 1e-3 + next(values)

    done = optimize_pixels(breaks, torch.full_like(TARGET, 0.5), iterations=5, optimizer=adam)
    assert len(done.losses) == 3
    assert torch.equal(done.image, images[1])
    assert done.loss_at(300) == done.losses[-1] == pytest.approx(3, abs=0.1)
    with pytest.raises(ValueError, match="loss of the start is not a number"):
        optimize_pixels(lambda pixels: pixels.sum() * torch.nan, TARGET, iterations=5)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        optimize_pixels(distance, TARGET, iterations=0)


def test_non_contiguous_start_works() -> None:
    done = optimize_pixels(distance, torch.full((1, 4, 5, 3), 0.5).permute(0, 3, 1, 2), iterations=20)
    torch.testing.assert_close(done.image, TARGET.clamp(0, 1), atol=2e-3, rtol=0)


def test_style_is_transferred_and_content_kept() -> None:
    """A gray disc in the style of orange clouds: 40 iterations reduce the style loss and keep the disc."""
    generator = torch.Generator().manual_seed(1)
    place = torch.linspace(-1, 1, 32)
    disc = (place[:, None] ** 2 + place**2 < 0.4).float().expand(1, 3, 32, 32)
    content = 0.3 + 0.3 * disc + 0.05 * natural_noise(1, 32, generator)
    clouds = (0.5 + 0.15 * natural_noise(1, 40, generator)[0]).clamp(0, 1)
    loss = StyleLoss(name="vgg11", layers=(1, 4), layer_weights=(0.5, 0.5), content_weight=0.02, weights="none")
    loss.set_style(clouds * torch.tensor([1.0, 0.6, 0.2]).view(3, 1, 1))
    loss.calibrate(content)
    done = optimize_pixels(
        lambda pixels: torch.stack(list(loss(pixels, content).values())).sum(), content, iterations=40
    )
    assert done.losses[0] == pytest.approx(1, rel=1e-3)
    assert done.loss_at(40) < 0.2
    red, _, blue = done.image[0].mean((1, 2))
    assert red > 1.5 * blue
    inside = disc[0, 0] > 0.5
    brightness = done.image[0].mean(0)
    assert brightness[inside].mean() > brightness[~inside].mean() + 0.1


def test_other_tasks_have_no_gatys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "sr", "gatys", "--content", "image.jpg"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "run.py: gatys needs a style image, and the task 'sr' has none: use --task style"
