"""Optimised pixels: on a loss whose answer is known, and on the loss of style."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from experiments.front import main
from models.gatys import adam, lbfgs, paint
from models.style_loss import StyleLoss

TARGET = torch.linspace(-0.2, 1.2, 3 * 4 * 5).view(1, 3, 4, 5)  # partly beyond what pixels can be


def distance(pixels: Tensor) -> Tensor:
    return (pixels - TARGET).square().sum()


@pytest.mark.parametrize(("optimizer", "iterations"), [(lbfgs, 20), (adam, 150)])
def test_finds_the_nearest_picture_there_is(optimizer: Callable[[Tensor], Optimizer], iterations: int) -> None:
    start = torch.full_like(TARGET, 0.5)
    seen: list[tuple[int, float]] = []
    done = paint(
        distance, start, iterations=iterations, optimizer=optimizer, on_iteration=lambda *told: seen.append(told)
    )
    torch.testing.assert_close(done.picture, TARGET.clamp(0, 1), atol=2e-3, rtol=0)
    assert torch.equal(start, torch.full_like(TARGET, 0.5))
    assert seen == list(enumerate(done.losses, 1))
    assert len(seen) == iterations
    assert done.losses[0] == pytest.approx(distance(start).item())
    assert done.losses == sorted(done.losses, reverse=True)
    assert done.loss_at(iterations) == pytest.approx(distance(done.picture).item(), rel=1e-5)


@pytest.mark.parametrize("optimizer", [lbfgs, adam])
def test_an_iteration_is_one_evaluation(optimizer: Callable[[Tensor], Optimizer]) -> None:
    calls = []

    def counted(pixels: Tensor) -> Tensor:
        calls.append(1)
        return distance(pixels)

    paint(counted, torch.full_like(TARGET, 0.5), iterations=7, optimizer=optimizer)
    assert len(calls) == 7


def test_the_best_is_kept_where_the_loss_breaks() -> None:
    values = iter([5.0, 3.0, 4.0, float("nan"), 1.0])
    pictures = []

    def breaks(pixels: Tensor) -> Tensor:
        pictures.append(pixels.detach().clone())
        return pixels.sum() * 1e-3 + next(values)

    done = paint(breaks, torch.full_like(TARGET, 0.5), iterations=5, optimizer=adam)
    assert len(done.losses) == 3
    assert torch.equal(done.picture, pictures[1])
    assert done.loss_at(300) == done.losses[-1] == pytest.approx(3, abs=0.1)
    with pytest.raises(ValueError, match="loss of the start is not a number"):
        paint(lambda pixels: pixels.sum() * torch.nan, TARGET, iterations=5)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        paint(distance, TARGET, iterations=0)


def test_a_start_that_is_not_contiguous_works() -> None:
    done = paint(distance, torch.full((1, 4, 5, 3), 0.5).permute(0, 3, 1, 2), iterations=20)
    torch.testing.assert_close(done.picture, TARGET.clamp(0, 1), atol=2e-3, rtol=0)


def test_style_comes_over_and_content_stays() -> None:
    """Stripes painted on a disc: after 60 iterations the styles are far nearer and the disc is still there."""
    place = torch.linspace(-1, 1, 32)
    disc = (place[:, None] ** 2 + place**2 < 0.4).float().expand(3, 32, 32) * 0.6 + 0.2
    stripes = (torch.arange(40) % 8 < 4).float() * torch.tensor([0.9, 0.4, 0.1])[:, None]
    loss = StyleLoss(name="vgg11", layers=(1, 4, 7, 9), content_weight=0.2, weights="none")
    loss.set_style(stripes[:, None].expand(3, 40, 40).contiguous())
    content = disc[None].contiguous()
    loss.calibrate(content)
    done = paint(lambda pixels: torch.stack(list(loss(pixels, content).values())).sum(), content, iterations=60)
    parts = loss(done.picture, content)
    assert done.losses[0] == pytest.approx(1, rel=1e-3)
    assert done.loss_at(60) < 0.34
    assert parts["content"] < 0.25
    red, blue = done.picture[0, 0].mean(), done.picture[0, 2].mean()
    assert red > blue + 0.1


def test_other_tasks_have_no_gatys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--task", "sr", "gatys", "--content", "photo.jpg"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "run.py: gatys paints after a style picture, and 'sr' has none: use --task style"
