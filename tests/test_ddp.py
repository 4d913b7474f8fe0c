"""Two real ranks stay equal while layers thaw, and resume and score like one process."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from PIL import Image
from test_global_batch import Noise, NoiseData
from test_resume import KillBefore, KilledError
from torch import nn
from torch.utils.data import Dataset

from callbacks.distributed.ddp import AutoSyncBatchNorm, Ddp, RunDDP, use_run_ddp
from callbacks.distributed.replica_check import ReplicaCheck
from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.weight_averaging import StageWeightAveraging
from callbacks.visualization.dashboard import Dashboard
from callbacks.visualization.figures import FigureLogger
from callbacks.visualization.super_resolution import SuperResolutionFigures
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from lightning_modules.super_resolution import SuperResolutionModule
from models.losses.pixel import L1Loss
from models.super_resolution.sr_resnet import SrResnet
from tests.helpers.ranks import on_ranks
from tests.helpers.tiny_segment import DiscData, DiscNet, Discs, disc_figures, fit_discs, read_events
from tests.helpers.tiny_task import SEED, STAGES, TinyData, tiny_task, tiny_trainer


def fit(
    folder: Path, *, world: int = 2, kill: int = -1, resume: bool = False, ema: bool = False, **options: Any
) -> dict[str, Any]:
    """Trains the tiny task on this rank; records all weights after every step."""
    extra: list[Callback] = [KillBefore(kill), ReplicaCheck(STAGES, every_n_steps=1)]
    extra += [StageWeightAveraging(STAGES, decay=0.9)] if ema else []
    with use_run_ddp(Ddp(**options), training=True):
        trainer = tiny_trainer(folder, devices=world, extra=extra)
    module, data = tiny_task(), TinyData(seed=SEED, num_workers=0)
    checkpoint = folder / "last.ckpt" if resume else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except KilledError:
        return {}
    return {"val": float(trainer.callback_metrics["val/loss"]), "steps": trainer.global_step}


def cut_and_whole(folder: Path) -> list[list[Any]]:
    """Trains uninterrupted, interrupted in the second stage, and at the boundary to the third with averaged weights."""
    ends = []
    for name, kill, ema in (("plain", 5, False), ("ema", 8, True)):
        whole, cut = fit(folder / name / "whole", ema=ema), fit(folder / name / "cut", kill=kill, ema=ema)
        ends.append([whole, cut, fit(folder / name / "cut", resume=True, ema=ema)])
    return ends


@pytest.mark.slow
def test_two_ranks_stay_equal_when_layers_thaw_and_resume_exactly(tmp_path: Path) -> None:
    first, second = on_ranks(2, cut_and_whole, tmp_path)
    assert first == second
    for whole, cut, resumed in first:
        assert cut == {}
        assert whole == resumed
        assert whole["steps"] == 18
    for name in ("plain", "ema"):
        ends = [torch.load(tmp_path / name / cut / "last.ckpt", weights_only=True) for cut in ("whole", "cut")]
        for key, tensor in ends[0]["state_dict"].items():
            assert torch.equal(tensor, ends[1]["state_dict"][key]), key
    assert "averaging_state" in ends[0]


def fit_discs_and_test(folder: Path, world: int) -> dict[str, Any]:
    """Trains, validates and tests with figures and a dashboard."""
    callbacks = [disc_figures(folder / "figures", fixed=2, worst=1), Dashboard(configuration={})]
    trainer = fit_discs(folder, callbacks, devices=world, num_sanity_val_steps=0)
    module: Any = trainer.lightning_module
    val = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    test = trainer.test(module, trainer.datamodule, verbose=False)[0]  # type: ignore[attr-defined]
    return {"val": val, "test": test, "table": module.test_table}


@pytest.mark.slow
def test_scores_do_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    # five images: three on one rank, two on the other
    first, second = on_ranks(2, fit_discs_and_test, tmp_path / "two", 2)
    alone = fit_discs_and_test(tmp_path / "one", 1)
    assert first == second
    assert first["val"] == pytest.approx(alone["val"], rel=1e-3)  # weights differ by rounding after ten steps
    assert first["test"] == pytest.approx(alone["test"], rel=1e-3)
    assert sorted(row["name"] for row in first["table"]) == [f"disc {100 + number}.png" for number in range(5)]
    assert alone["val"]["val/dice"] > 0.5
    tags = read_events(tmp_path / "two").Tags()  # one log, written by one process
    assert "figures/validation_1" in tags["images"]
    drawn = {file.name for file in (tmp_path / "one/figures").iterdir()} - {"training_batch.png"}
    assert drawn == {"validation_1.png", "validation_2.png", "worst_1.png", "precision_recall.png"}
    for name in drawn:  # of the images of both, the same were chosen
        ours, theirs = (np.asarray(Image.open(tmp_path / world / "figures" / name)) for world in ("two", "one"))
        assert np.abs(ours.astype(int) - theirs).mean() < 1, name
    files = (tmp_path / "two").glob("events.out.tfevents.*")  # ...<host>.<process>.<number>
    assert len({file.name.split(".")[-2] for file in files}) == 1


class OneNoise(Noise):
    """A single pair."""

    def __len__(self) -> int:
        return 1


class OneImage(NoiseData):
    """A single validation pair."""

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return OneNoise(stage.size, 2)

    test_set = val_set


class OneDisc(DiscData):
    """A single validation disc."""

    def val_set(self, stage: Stage) -> Dataset[dict[str, Any]]:
        return Discs(1, stage.size, 100)

    test_set = val_set


def judge_one(folder: Path, world: int, states: dict[str, Any] | None = None) -> dict[str, Any]:
    """Trains with validation and figures, or loads trained weights; then validates and tests."""
    ends = {}
    net = SrResnet(width=8, blocks=1, max_scale=2, tail_norm=True)  # with batch norm, whose buffers DDP sends
    for name, module, data, figures in (
        (
            "sr",
            SuperResolutionModule(net=net, loss=L1Loss()),
            OneImage(num_workers=0),
            FigureLogger(SuperResolutionFigures(), folder=folder / "sr" / "figures"),
        ),
        (
            "segment",
            SegmentationModule(net=DiscNet()),
            OneDisc(num_workers=0),
            disc_figures(folder / "segment" / "figures"),
        ),
    ):
        stages = [Stage(name="only", size=16, scale=2, batch_size=4, epochs=2, lr=1e-3)]
        trainer = Trainer(
            max_epochs=2, accelerator="cpu", devices=world, use_distributed_sampler=False, num_sanity_val_steps=0,
            callbacks=[ProgressiveResizing(stages), figures], logger=TensorBoardLogger(folder, name=name),
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
        )  # fmt: skip
        if states is None:
            trainer.fit(module, datamodule=data)
        else:
            module.load_state_dict(states[name]["state"])
            module.begin_stage(stages[0], 1)
        state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
        (val,) = trainer.validate(module, datamodule=data, verbose=False)
        (test,) = trainer.test(module, datamodule=data, verbose=False)
        ends[name] = {"state": state, "scores": val | test, "table": module.test_table}
    return ends


@pytest.mark.slow
def test_rank_without_images_takes_part(tmp_path: Path) -> None:
    first, second = on_ranks(2, judge_one, tmp_path / "two", 2)
    alone = judge_one(tmp_path / "one", 1, first)
    for task in ("sr", "segment"):
        assert first[task]["scores"] == second[task]["scores"] == pytest.approx(alone[task]["scores"], rel=1e-5)
        assert len(first[task]["table"]) == 1
        assert first[task]["table"] == second[task]["table"]
        images = {file.name for file in (tmp_path / "two" / task / "figures").iterdir()}
        assert {"validation_1.png", "worst_1.png"} <= images


def test_devices_option_is_enough() -> None:
    with use_run_ddp(Ddp(timeout=2.5, static_graph=True), training=True):
        strategy = Trainer(accelerator="cpu", devices=2, logger=False, enable_checkpointing=False).strategy
        named = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False).strategy
        alone = Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False).strategy
    assert type(strategy) is type(named) is RunDDP
    assert not isinstance(alone, DDPStrategy)
    assert strategy._timeout == timedelta(minutes=2.5)
    assert strategy._ddp_kwargs == {
        "gradient_as_bucket_view": True, "find_unused_parameters": False, "static_graph": True
    }  # fmt: skip
    with use_run_ddp(Ddp(), training=False):
        strategy = Trainer(accelerator="cpu", devices=2, logger=False, enable_checkpointing=False).strategy
    assert isinstance(strategy, RunDDP)
    assert strategy._timeout == timedelta(days=1)
    after = Trainer(accelerator="cpu", devices=2, logger=False, enable_checkpointing=False).strategy
    assert type(after) is DDPStrategy  # nobody else's trainer is changed


@pytest.mark.parametrize(
    ("device", "world", "stage", "expected"),
    [
        ("cuda", 1, {}, False),  # 16 images at once
        ("cuda", 2, {}, True),
        ("cpu", 2, {}, False),
        ("cuda", 2, {"frozen": "encoder"}, False),
        ("cuda", 2, {"frozen_bn": True}, False),
        ("cuda", 2, {"batch_size": 32}, False),
    ],
)
def test_batch_norm_is_synchronized_for_small_batches(
    device: str, world: int, stage: dict[str, Any], expected: bool
) -> None:
    settings: dict[str, Any] = {"size": 8, "batch_size": 16, "epochs": 1, "lr": 1.0}
    module: Any = tiny_task()
    strategy = SimpleNamespace(root_device=torch.device(device))
    module.trainer = SimpleNamespace(world_size=world, accumulate_grad_batches=1, strategy=strategy)
    before = dict(module.named_parameters())
    AutoSyncBatchNorm([Stage(name="only", **(settings | stage))]).apply(module)
    assert isinstance(module.net.body[1], nn.SyncBatchNorm) == expected
    assert all(parameter is before[name] for name, parameter in module.named_parameters())


@pytest.mark.parametrize("options", [{"timeout": 0}, {"check_every_n_steps": -1}])
def test_options_out_of_range_are_named(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=rf"ddp\.{name}"):
        Ddp(**options)
