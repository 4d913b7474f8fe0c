"""The effect of a stage on sizes, learning rates, frozen layers and batch norm."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import nn

from callbacks.errors import StageError
from callbacks.training.progressive_resizing import ProgressiveResizing
from datamodules.stage import Stage
from models.layer_groups import frozen_count, param_groups
from tests.helpers.tiny_task import SEED, STAGES, TinyData, TinyNet, TinyTask, tiny_task, tiny_trainer


class Watch(Callback):
    """Records sizes and, at the end of each epoch, weights, statistics and learning rates."""

    def __init__(self) -> None:
        self.train_sizes: list[int] = []
        self.val_sizes: list[int] = []
        self.body: list[torch.Tensor] = []
        self.means: list[torch.Tensor] = []
        self.peaks: list[list[float]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            self.train_sizes.append(batch["image"].shape[-1])

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 0:
            self.val_sizes.append(batch["image"].shape[-1])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + 1 == trainer.num_training_batches:
            assert isinstance(pl_module.net, TinyNet)
            self.body.append(pl_module.net.body[0].weight.detach().clone())
            self.means.append(pl_module.net.body[1].running_mean.clone())
            self.peaks.append([group["max_lr"] for group in trainer.optimizers[0].param_groups])


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    seen = Watch()
    tiny_trainer(tmp_path, extra=[seen]).fit(tiny_task(), datamodule=TinyData(seed=SEED, num_workers=0))
    return seen


def test_training_and_validation_size_follow_the_stage(watch: Watch) -> None:
    assert watch.train_sizes == [8, 8, 8, 8, 12, 12]
    assert watch.val_sizes == [8, 8, 8, 8, 12, 12]


def test_frozen_layers_do_not_change_and_thawed_ones_do(watch: Watch) -> None:
    start = tiny_task().net.body[0].weight
    assert torch.equal(watch.body[1], start)
    assert not torch.equal(watch.body[2], watch.body[1])


def test_frozen_batch_norm_keeps_its_statistics_until_the_last_stage(watch: Watch) -> None:
    assert all(mean.eq(0).all() for mean in watch.means[:4])
    assert watch.means[4].ne(0).all()


def test_each_stage_has_its_learning_rates_and_frozen_groups_none(watch: Watch) -> None:
    assert [peaks[:] for peaks in watch.peaks] == [[1e-2]] * 2 + [[1e-3, 1e-2]] * 2 + [[5e-3, 5e-3]] * 2


def test_dry_run_changes_nothing(tmp_path: Path) -> None:
    module = tiny_task()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    generator = torch.get_rng_state()
    seen: list[tuple[int, ...]] = []
    module.net.body.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape)))

    class Look(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert torch.equal(torch.get_rng_state(), generator)
            assert all(torch.equal(before[name], tensor) for name, tensor in pl_module.state_dict().items())
            assert all(parameter.grad is None for parameter in pl_module.parameters())
            assert [p.requires_grad for p in pl_module.net.body.parameters()] == [False] * 4

    torch.set_rng_state(generator)
    trainer = tiny_trainer(tmp_path, extra=[Look()], max_epochs=0)
    with pytest.warns(UserWarning, match="max_epochs=0 ends the run before its stages do"):
        trainer.fit(module, datamodule=TinyData(seed=SEED, num_workers=0))
    # each size and batch once, the largest (8 x 8 x 4) first
    assert seen == [(2, 3, 12, 12), (4, 3, 8, 8)]


def test_stage_out_of_memory_is_named(tmp_path: Path) -> None:
    class Greedy(TinyTask):
        def losses(self, batch: Any) -> dict[str, torch.Tensor]:
            if batch["image"].shape[-1] == 12:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().losses(batch)

    with pytest.raises(StageError, match=r"stage 'large all' does not fit in memory at 12 px with batch_size 2"):
        tiny_trainer(tmp_path).fit(Greedy(net=TinyNet()), datamodule=TinyData(seed=SEED, num_workers=0))


def test_size_refused_by_the_net_is_reported_before_the_first_step(tmp_path: Path) -> None:
    class Fussy(TinyTask):
        def losses(self, batch: Any) -> dict[str, torch.Tensor]:
            if batch["image"].shape[-1] < 12:
                raise ValueError("an image of 8 x 8 pixels is too small for this net: each side needs at least 12")
            return super().losses(batch)

    with pytest.raises(
        StageError, match=r"stage 'small head' at 8 px cannot be trained: .* each side needs at least 12"
    ):
        tiny_trainer(tmp_path).fit(Fussy(net=TinyNet()), datamodule=TinyData(seed=SEED, num_workers=0))


@pytest.mark.parametrize(
    ("field", "value"), [("size", 0), ("batch_size", 0), ("epochs", -1), ("lr", 0.0), ("warmup", 1.0), ("frozen", -1)]
)
def test_invalid_field_is_named_with_its_stage(field: str, value: float) -> None:
    fields: dict[str, Any] = {"name": "first", "size": 8, "batch_size": 2, "epochs": 1, "lr": 0.1} | {field: value}
    with pytest.raises(ValueError, match=f"stage 'first': {field} must be"):
        Stage(**fields)


def test_no_stages_and_nothing_to_train_are_refused() -> None:
    with pytest.raises(ValueError, match="stages is empty"):
        ProgressiveResizing([])
    with pytest.raises(ValueError, match="leaves nothing to train: the net has 2 layer groups"):
        frozen_count(2, 2)
    net = TinyNet()
    with pytest.raises(ValueError, match="lr_scale has 3 factors and the net 2 layer groups"):
        param_groups(net.layer_groups(), lr=1.0, lr_scale=(1, 1, 1))
    with pytest.raises(TypeError, match="Linear needs layer_groups"):
        TinyTask(net=nn.Linear(1, 1))
    assert [stage.epochs for stage in STAGES] == [2, 2, 2]
