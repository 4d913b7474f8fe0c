"""The schedule of a stage: fastai 0.7's cycles, cycles in one stage, and which batch norms stand still."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from datamodules.stage import Stage
from experiments.cli.settings import read_settings
from experiments.tasks.table import TASKS
from lightning_modules.schedule import build_schedule
from lightning_modules.segmentation import SegmentationModule
from models.segmentation.unet34 import UNet34


def use_clr(step: int, count: int, div: float, cut: float) -> float:
    """CircularLR of fastai 0.7."""
    peak = int(count / cut)
    share = 1 - (step - peak) / (count - peak) if step > peak else step / peak
    return (1 + share * (div - 1)) / div


def use_clr_beta(step: int, count: int, div: float, pct: float) -> float:
    """CircularLR_beta of fastai 0.7."""
    half = int(count * (1 - pct / 100) / 2)
    if step > 2 * half:
        share = (step - 2 * half) / (count - 2 * half)
        return (1 + share * (1 - 100) / 100) / div
    share = 1 - (step - half) / half if step > half else step / half
    return (1 + share * (div - 1)) / div


def rates(stage: Stage, steps: int, scale: float = 1.0) -> list[float]:
    """The rate of every step, as an optimizer gets it."""
    optimizer = torch.optim.Adam([{"params": [nn.Parameter(torch.zeros(1))], "lr": stage.lr * scale}])
    schedule = build_schedule(optimizer, stage, steps=steps, momentum=(0.9, 0.9))
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def stage(**options: object) -> Stage:
    return Stage(**{"name": "a", "size": 8, "batch_size": 1, "epochs": 4, "lr": 0.1, "shape": "linear", **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("div", "cut"), [(5, 8), (20, 10), (20, 4)])
def test_use_clr(div: int, cut: int) -> None:
    found = rates(stage(div=div, warmup=1 / cut, end_div=1), 400)
    assert found == pytest.approx([0.1 * use_clr(step, 400, div, cut) for step in range(400)])


def test_use_clr_beta() -> None:
    found = rates(stage(div=40, warmup=0.45, tail=0.1, end_div=100), 400)
    assert found == pytest.approx([0.1 * use_clr_beta(step, 400, 40, 10) for step in range(400)])


def test_two_cycles_are_one_cycle_twice() -> None:
    one = rates(stage(div=20, warmup=0.125, end_div=1, epochs=4), 200)
    assert rates(stage(div=20, warmup=0.125, end_div=1, epochs=8, cycles=2), 400) == pytest.approx(one + one)


def test_every_group_keeps_its_factor() -> None:
    whole = rates(stage(div=20, warmup=0.1, end_div=1), 100)
    assert rates(stage(div=20, warmup=0.1, end_div=1), 100, scale=0.01) == pytest.approx(
        [0.01 * rate for rate in whole]
    )


def test_cosine_ends_where_it_is_told() -> None:
    found = rates(stage(shape="cosine", div=10, warmup=0.25, end_div=5), 100)
    assert found[0] == pytest.approx(0.01)
    assert max(found) == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.002)


def test_few_steps() -> None:
    for steps in (4, 5, 7):
        assert all(0 < rate <= 0.1 for rate in rates(stage(div=20, warmup=0.1, end_div=1), steps))


def test_moving_momentum_needs_cosine() -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    with pytest.raises(ValueError, match="stage 'a': a momentum of"):
        build_schedule(optimizer, stage(), steps=10, momentum=(0.8, 0.95))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "square"}, "shape must be 'cosine' or 'linear', not 'square'"),
        ({"cycles": 3}, "cycles must be 1, or a divisor of 4 if linear, not 3"),
        ({"cycles": 2, "shape": "cosine"}, "cycles must be 1"),
        ({"tail": 0.8}, "tail must be 0, or below 0.75 if linear, not 0.8"),
        ({"end_div": 0}, "end_div must be above 0, not 0"),
        ({"frozen_bn": "decoder"}, "frozen_bn must be true, false, 'all' or 'encoder', not 'decoder'"),
    ],
)
def test_settings_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stage(**options)


@pytest.mark.parametrize(("frozen_bn", "moving"), [(False, 3), ("encoder", 1), (True, 1), ("all", 0)])
def test_frozen_batch_norms_keep_their_statistics(frozen_bn: bool | str, moving: int) -> None:
    """After a training step, in how many of the three layer groups statistics have moved; weights train in all."""
    module = SegmentationModule(net=UNet34(pretrained="none"))
    module.train()
    module.begin_stage(stage(frozen_bn=frozen_bn), steps=10)
    groups = module.net.layer_groups()  # type: ignore[operator]
    norms = [[part for top in group for part in top.modules() if isinstance(part, _BatchNorm)] for group in groups]
    before = [[norm.running_mean.clone() for norm in group] for group in norms]  # type: ignore[union-attr]
    loss = module.losses({"image": torch.rand(2, 3, 64, 64), "mask": torch.ones(2, 64, 64), "name": ["a", "b"]})["loss"]
    loss.backward()
    after = [[norm.running_mean.clone() for norm in group] for group in norms]  # type: ignore[union-attr]
    assert sum(not all(map(torch.equal, old, new)) for old, new in zip(before, after, strict=True)) == moving
    assert all(norm.weight.grad is not None for group in norms for norm in group)


# Lesson 14 as its notebooks have it: size, batch, epochs, cycles, rate, (div, pct), frozen, factors of the groups.
GROUPS, LATE = (0.01, 0.1, 1.0), (1 / 200, 1 / 30, 1.0)
LESSON = {
    "carvana": [
        (128, 64, 8, 1, 4e-2, (5, 8), 1, None),
        (128, 64, 20, 1, 1e-2, (20, 10), 0, GROUPS),
        (512, 16, 5, 1, 4e-2, (5, 5), 1, None),
        (512, 16, 8, 1, 1e-2, (20, 8), 0, GROUPS),
        (1024, 4, 2, 1, 4e-2, (5, 4), 1, None),
        (1024, 4, 8, 2, 4e-3, (20, 8), 0, LATE),
    ],
    "carvana-simple": [
        (128, 64, 5, 1, 4e-2, (20, 5), "encoder", None),
        (128, 64, 20, 1, 1e-2, (20, 10), 0, GROUPS),
        (512, 16, 5, 1, 4e-2, (20, 5), "encoder", None),
        (512, 16, 8, 1, 1e-2, (20, 8), 0, GROUPS),
        (1024, 4, 2, 1, 4e-2, (20, 4), "encoder", None),
        (1024, 4, 40, 1, 5e-3, (20, 10), 0, GROUPS),
    ],
}


@pytest.mark.parametrize("recipe", LESSON)
def test_recipes_have_the_numbers_of_the_lesson(recipe: str) -> None:
    stages = [Stage(**values) for values in read_settings(TASKS["segment"].recipe_file(recipe))["stages"]]
    for found, row in zip(stages, LESSON[recipe], strict=True):
        size, batch, epochs, cycles, lr, (div, pct), frozen, factors = row
        assert (found.size, found.batch_size, found.epochs, found.cycles) == (size, batch, epochs, cycles)
        assert (found.lr, found.div, found.frozen, found.shape, found.end_div) == (lr, div, frozen, "linear", 1)
        assert found.warmup == pytest.approx(1 / pct)
        assert (found.lr_scale is None) == (factors is None)
        if factors is not None:
            assert found.lr_scale == pytest.approx(factors, rel=0.01)
            assert found.frozen_bn == "all"


def test_super_resolution_recipes_have_the_numbers_of_the_lesson() -> None:
    rows = [(2, 64, 2, 6e-3, 0), (4, 32, 1, 3e-3, 1), (4, 32, 1, 1e-3, 0)]
    stages = [Stage(**values) for values in read_settings(TASKS["sr"].recipe_file("imagenet"))["stages"]]
    assert [(s.scale, s.batch_size, s.epochs, s.lr, s.frozen) for s in stages] == rows
    assert {(s.shape, s.div, s.warmup, s.end_div) for s in stages} == {("linear", 20, 0.1, 1)}
    (mse,) = [Stage(**values) for values in read_settings(TASKS["sr"].recipe_file("mse"))["stages"]]
    assert (mse.scale, mse.batch_size, mse.epochs, mse.lr) == (4, 32, 1, 2e-3)
    assert (mse.div, mse.warmup, mse.tail, mse.end_div) == (40, 0.45, 0.1, 100)
