"""Two real processes: they stay equal while layers thaw, resume as one does, and score as one does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging
from ranks import on_ranks
from test_resume import KillBefore, KilledError
from tiny_segment import fit_discs, read_events
from tiny_task import SEED, STAGES, TinyData, tiny_task, tiny_trainer

from callbacks.dashboard import Dashboard
from callbacks.ddp import Ddp, as_ddp
from callbacks.replica_guard import ReplicaGuard
from callbacks.segment_figures import SegmentFigures

pytestmark = pytest.mark.slow


def fit(
    folder: Path, *, world: int = 2, kill: int = -1, resume: bool = False, ema: bool = False, **options: Any
) -> dict[str, Any]:
    """Trains the tiny task on this process of ``world``; every step is followed by a look at all weights."""
    extra: list[Callback] = [KillBefore(kill), ReplicaGuard(STAGES, every_n_steps=1)]
    extra += [EMAWeightAveraging(decay=0.9)] if ema else []
    with as_ddp(Ddp(**options), training=True):
        trainer = tiny_trainer(folder, devices=world, extra=extra)
    module, data = tiny_task(), TinyData(seed=SEED, num_workers=0)
    checkpoint = folder / "last.ckpt" if resume else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except KilledError:
        return {}
    return {"val": float(trainer.callback_metrics["val/loss"]), "steps": trainer.global_step}


def cut_and_whole(folder: Path) -> list[list[Any]]:
    """Trains whole, cut inside the second stage and on the boundary to the third, with an average and without."""
    ends = []
    for name, kill, ema in (("plain", 5, False), ("ema", 8, True)):
        whole, cut = fit(folder / name / "whole", ema=ema), fit(folder / name / "cut", kill=kill, ema=ema)
        ends.append([whole, cut, fit(folder / name / "cut", resume=True, ema=ema)])
    return ends


def test_two_ranks_stay_equal_across_thawing_and_resume_exactly(tmp_path: Path) -> None:
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
    callbacks = [SegmentFigures(fixed=2, worst=1), Dashboard(configuration={})]
    trainer = fit_discs(folder, callbacks, devices=world, num_sanity_val_steps=0)
    module: Any = trainer.lightning_module
    val = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    test = trainer.test(module, trainer.datamodule, verbose=False)[0]  # type: ignore[attr-defined]
    return {"val": val, "test": test, "table": module.test_table}


def test_scores_do_not_depend_on_how_pictures_are_shared_out(tmp_path: Path) -> None:
    # five pictures: three on one rank, two on the other
    first, second = on_ranks(2, fit_discs_and_test, tmp_path / "two", 2)
    alone = fit_discs_and_test(tmp_path / "one", 1)
    assert first == second
    assert first["val"] == pytest.approx(alone["val"], rel=1e-3)  # weights differ by rounding after ten steps
    assert first["test"] == pytest.approx(alone["test"], rel=1e-3)
    assert sorted(row["name"] for row in first["table"]) == [f"disc {100 + number}.png" for number in range(5)]
    assert alone["val"]["val/dice"] > 0.5
    tags = read_events(tmp_path / "two").Tags()  # one log, written by one process
    assert "figures/validation_1" in tags["images"]
    files = (tmp_path / "two").glob("events.out.tfevents.*")  # ...<host>.<process>.<number>
    assert len({file.name.split(".")[-2] for file in files}) == 1
