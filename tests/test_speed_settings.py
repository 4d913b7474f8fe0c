"""The line about the settings that decide how fast a run is."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.profilers import Profiler, SimpleProfiler

from experiments.cli.arguments import read_arguments
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.cli.trainer import NoProfiler
from experiments.commands.speed_settings import is_channels_last, settings_line
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet


def module(*, channels_last: bool) -> SuperResolutionModule:
    net = SrResnet(width=4, blocks=1, max_scale=2)
    return SuperResolutionModule(net=net, loss=L1Loss(), channels_last=channels_last)


def test_memory_format_is_that_of_the_weights() -> None:
    assert is_channels_last(module(channels_last=True))
    assert not is_channels_last(module(channels_last=False))


@pytest.mark.parametrize(
    ("workers", "words"), [(0, "data loaded in the training process"), (1, "1 loader process, channels-last")]
)
def test_line_has_the_settings_of_the_trainer(tmp_path: Path, workers: int, words: str) -> None:
    trainer = Trainer(accelerator="cpu", precision="bf16-mixed", default_root_dir=tmp_path, logger=False)
    data: Any = type("Data", (), {"num_workers": workers})()
    line = settings_line(trainer, module(channels_last=True), data, keeps_heap=True)
    threads = torch.get_num_threads()
    assert line.startswith(f"speed: cpu, precision bf16-mixed, {threads} thread")
    assert words in line
    assert line.endswith(", heap kept between steps")


@pytest.mark.parametrize(("flags", "expected"), [((), NoProfiler), (("--trainer.profiler", "simple"), SimpleProfiler)])
def test_hooks_are_not_profiled_unless_the_user_asks(
    tmp_path: Path, flags: tuple[str, ...], expected: type[Profiler]
) -> None:
    words = ["--task", "sr", "--runs", str(tmp_path), "--trainer.accelerator", "cpu", *flags]
    with ExitStack() as locks:
        trainer: Any = build_context(make_plan(read_arguments(words), locks)).trainer
    assert type(trainer.profiler) is expected
    with trainer.profiler.profile("hook"), trainer.profiler.profile("hook inside of it"):
        pass
