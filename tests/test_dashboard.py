import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from lightning import Callback, LightningModule, Trainer
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from callbacks.visualization.dashboard import Dashboard
from callbacks.visualization.dashboard_text import code_block, hyperparameters, layout, stage_line
from callbacks.visualization.throughput import Speed, StepClock
from datamodules.stage import Stage
from tests.helpers.tiny_segment import STAGES, fit_discs, read_events

CONFIGURATION = {"model": {"net": {"encoder": "tiny"}, "threshold": 0.5}, "data": {"root": None}, "seed_everything": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The log of one run of two stages: 2 steps, then 2 epochs of 4."""
    folder: Path = tmp_path_factory.mktemp("run")
    fit_discs(folder, [Dashboard(configuration=CONFIGURATION)])
    return read_events(folder)


def values(run: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in run.Scalars(tag)]


def text(run: Any, tag: str) -> list[str]:
    return [event.tensor_proto.string_val[0].decode() for event in run.Tensors(f"{tag}/text_summary")]


def test_logged_tags_are_exactly_the_documented_ones(run: Any) -> None:
    assert set(run.Tags()["scalars"]) == {
        *("train/loss", "val/loss", "val/dice", "val/iou", "val/accuracy", "epoch"),
        *("stage/index", "stage/size", "lr/group0", "lr/group1"),
        *("speed/images_per_second", "speed/data_wait_share"),
        *("hp/dice", "hp/iou", "hp/accuracy", "hp/loss"),
    }


def test_stages_are_marked(run: Any) -> None:
    assert values(run, "stage/index") == [(0, 1), (1, 1), *((step, 2) for step in range(2, 10))]
    assert [size for _, size in values(run, "stage/size")] == [16] * 2 + [24] * 8
    lines = text(run, "run/stages")
    assert len(lines) == 2
    assert "stage 1 of 2: small head" in lines[0]
    assert "stage 2 of 2: large all" in lines[1]
    assert "begins in epoch 2: 24 px, batches of 2" in lines[1]


def test_learning_rates_are_those_of_the_step(run: Any) -> None:
    head = dict(values(run, "lr/group1"))
    assert head[0] == pytest.approx(0.1 / 25)  # one-cycle starts at lr / div
    assert head[2] == pytest.approx(0.1 / 25)
    assert max(head.values()) == pytest.approx(0.1)
    body = dict(values(run, "lr/group0"))
    assert set(body) == set(range(2, 10))  # it stood still in the first stage
    assert body[3] == pytest.approx(head[3] / 10)


def test_learning_rates_and_stage_are_logged_with_the_loss(run: Any) -> None:
    assert [step for step, _ in values(run, "train/loss")] == [step for step, _ in values(run, "stage/index")]


def test_speed_is_plausible(run: Any) -> None:
    assert all(0 <= share <= 1 for _, share in values(run, "speed/data_wait_share"))
    assert all(speed > 0 for _, speed in values(run, "speed/images_per_second"))


def test_hyperparameters_hold_the_best_scores_of_the_last_stage(run: Any) -> None:
    dice = [value for _, value in values(run, "val/dice")]
    shown = [value for _, value in values(run, "hp/dice")]
    assert math.isnan(shown[0])
    assert shown[1:] == pytest.approx([dice[0], dice[1], max(dice[1:])])
    assert "hp_metric" not in run.Tags()["scalars"]
    start = run.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"model.net.encoder" in start
    assert b"stages.size" in start


def test_layout_has_no_empty_and_no_missing_chart(run: Any) -> None:
    shown = Layout.FromString(run.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for category in shown.category for chart in category.chart}
    tags = run.Tags()["scalars"]
    found = {title: {t for p in patterns for t in tags if re.match(p, t)} for title, patterns in charts.items()}
    assert found == {
        "loss": {"train/loss", "val/loss"},
        "validation scores": {"val/dice", "val/iou", "val/accuracy"},
        "image size in pixels": {"stage/size"},
        "stage": {"stage/index"},
        "learning rate per layer group": {"lr/group0", "lr/group1"},
        "images per second": {"speed/images_per_second"},
        "fraction of time spent waiting for data": {"speed/data_wait_share"},
    }


def test_layout_includes_loss_parts_and_classes() -> None:
    charts = layout(["train/loss/bce", "val/iou/sky"])["quality"]
    assert set(charts) == {"parts of the training loss", "IoU per class"}


def test_configuration_origin_and_guide_are_logged_as_text(run: Any) -> None:
    assert text(run, "run/weights") == ["initial weights: drawn at random for a test"]
    assert "    encoder: tiny" in text(run, "run/configuration")[0].replace("      ", "    ")
    assert "`speed/data_wait_share`" in text(run, "run/guide")[0]


def test_resumed_run_has_one_timeline_and_keeps_its_best(tmp_path: Path) -> None:
    class SaveAfterTwoEpochs(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 1:
                trainer.save_checkpoint(tmp_path / "cut.ckpt")

    # The whole run stands for one that was cut some steps after its last checkpoint.
    fit_discs(tmp_path, [Dashboard(configuration={}), SaveAfterTwoEpochs()])
    whole = read_events(tmp_path)
    time.sleep(1.1)  # TensorBoard orders files by the second and then by a number, as text: 10 comes before 9
    resumed = Dashboard(configuration={})
    fit_discs(tmp_path, [resumed], checkpoint=tmp_path / "cut.ckpt")
    again = read_events(tmp_path)
    for tag in ("train/loss", "stage/index", "lr/group1", "val/dice"):
        assert [event.step for event in again.Scalars(tag)] == [event.step for event in whole.Scalars(tag)]
    dice = [value for _, value in values(again, "val/dice")]
    assert resumed.state_dict()["best_scores"]["val/dice"] == pytest.approx(max(dice[1:]))
    assert not math.isnan(values(again, "hp/dice")[-2][1])


def test_step_clock_counts_steps_and_waits_only() -> None:
    clock = StepClock()
    assert clock.read() is None
    clock.wait(10.0)
    clock.begin(11.0)
    clock.end(13.0, images=4)
    clock.wait(100.0)  # a validation of 87 s lies between
    clock.begin(101.0)
    clock.end(105.0, images=4)
    assert clock.read() == Speed(images_per_second=1.0, data_wait_share=0.25)
    assert clock.read() is None


def test_hyperparameters_are_flat_and_omit_unset_values() -> None:
    assert hyperparameters(CONFIGURATION, STAGES) == {
        "model.net.encoder": "tiny",
        "model.threshold": 0.5,
        "seed_everything": 0,
        "stages.size": "16, 24",
        "stages.epochs": "1, 2",
        "stages.batch_size": "4, 2",
        "stages.lr": "0.1, 0.1",
    }


def test_stage_description() -> None:
    stage = Stage(name="512 head", size=512, batch_size=16, epochs=5, lr=4e-2, frozen="encoder", augment=False)
    assert stage_line(stage, 2, 3, 27) == (
        "**stage 3 of 3: 512 head** begins in epoch 28: 512 px, batches of 16, not augmented, 5 epochs, "
        "peak rate 0.04, encoder frozen"
    )


def test_configuration_text_is_unchanged() -> None:
    assert code_block({"b": [1], "a": {"c": None}}) == "    b:\n    - 1\n    a:\n      c: null"
