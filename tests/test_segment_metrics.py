import math
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torchmetrics.segmentation import DiceScore

from lightning_modules.segmentation_metrics import (
    SegmentScores,
    accuracy,
    class_iou,
    count,
    image_dice,
    image_iou,
    score_table,
)

EMPTY, FULL = torch.zeros(1, 2, 2, dtype=torch.bool), torch.ones(1, 2, 2, dtype=torch.bool)


def random_masks(seed: int, classes: int, images: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    preds = torch.randint(0, max(2, classes), (images, 13, 17), generator=generator)
    target = torch.where(torch.rand(preds.shape, generator=generator) < 0.6, preds, preds.roll(1, 0))
    return preds, target


def test_values_of_one_image_by_hand() -> None:
    preds = torch.tensor([[[1, 1, 1, 0], [0, 0, 0, 0]]])
    target = torch.tensor([[[1, 1, 0, 1], [1, 0, 0, 0]]])
    table = count(preds, target, classes=1)
    assert table.tolist() == [[[3, 4, 5], [2, 4, 3]]]
    assert image_dice(table, classes=1).tolist() == pytest.approx([4 / 7])  # 2*2 / (3 + 4)
    assert image_iou(table, classes=1).tolist() == pytest.approx([2 / 5])
    assert accuracy(table).tolist() == pytest.approx([5 / 8])


@pytest.mark.parametrize(("preds", "target", "dice"), [(EMPTY, EMPTY, 1.0), (FULL, EMPTY, 0.0), (EMPTY, FULL, 0.0)])
def test_empty_masks_score_as_on_kaggle(preds: Tensor, target: Tensor, dice: float) -> None:
    table = count(preds, target, classes=1)
    assert image_dice(table, classes=1).item() == dice
    assert image_iou(table, classes=1).item() == dice


def test_dice_is_the_mean_over_images_and_iou_is_pooled() -> None:
    # Image 1: one of one pixel found. Image 2: one of three found. Dice 1 and 1/2, mean 3/4; pooled it were 2/3.
    preds = torch.tensor([[[1, 0, 0]], [[1, 0, 0]]])
    target = torch.tensor([[[1, 0, 0]], [[1, 1, 1]]])
    scores = SegmentScores(classes=("car",))
    scores.update(count(preds, target, classes=1), torch.tensor(0.5))
    found = scores.compute()
    assert found["dice"].item() == pytest.approx(3 / 4)
    assert found["iou"].item() == pytest.approx(2 / 4)
    assert found["accuracy"].item() == pytest.approx(4 / 6)
    assert set(found) == {"loss", "dice", "iou", "accuracy"}


def test_short_last_batch_is_weighted_by_images() -> None:
    preds, target = random_masks(0, 1)
    whole, cut = SegmentScores(classes=("car",)), SegmentScores(classes=("car",))
    whole.update(count(preds, target, classes=1), torch.tensor(1.4))
    for part, loss in ((slice(0, 4), 1.0), (slice(4, 5), 3.0)):  # (4 * 1.0 + 1 * 3.0) / 5 = 1.4
        cut.update(count(preds[part], target[part], classes=1), torch.tensor(loss))
    assert {k: v.item() for k, v in cut.compute().items()} == pytest.approx(
        {k: v.item() for k, v in whole.compute().items()}
    )


def test_two_processes_of_which_one_has_no_image() -> None:
    preds, target = random_masks(1, 1)
    ranks = [SegmentScores(classes=("car",)) for _ in range(2)]
    ranks[0].update(count(preds, target, classes=1), torch.tensor(0.3))
    alone = ranks[0].compute()["dice"].item()
    merged = SegmentScores(classes=("car",))
    for name, reduce in merged._reductions.items():  # what torchmetrics does with the states it has gathered
        setattr(merged, name, reduce(torch.stack([getattr(rank, name) for rank in ranks])))  # type: ignore[operator, misc]
    merged._update_count = 1
    assert merged.compute()["dice"].item() == pytest.approx(alone)
    assert merged.compute()["loss"].item() == pytest.approx(0.3)


def test_one_class_agrees_with_segmentation_models() -> None:
    preds, target = random_masks(2, 1)
    table = count(preds, target, classes=1)
    counts: Any = smp.metrics.get_stats(preds[:, None], target[:, None], mode="binary")
    assert image_dice(table, classes=1).mean().item() == pytest.approx(
        smp.metrics.f1_score(*counts, reduction="micro-imagewise").item()
    )
    assert class_iou(table.sum(0))[1].item() == pytest.approx(smp.metrics.iou_score(*counts, reduction="micro").item())
    assert accuracy(table.sum(0)).item() == pytest.approx(smp.metrics.accuracy(*counts, reduction="micro").item())


def test_several_classes_agree_with_segmentation_models_where_some_pixels_are_ignored() -> None:
    preds, target = random_masks(3, 4)
    target[:, :3] = 255
    scores = SegmentScores(classes=("sky", "road", "car", "tree"))
    scores.update(count(preds, target, classes=4))
    found = scores.compute()
    known = target != 255
    counts: Any = smp.metrics.get_stats(preds[known][None], target[known][None], mode="multiclass", num_classes=4)
    per_class = smp.metrics.iou_score(*counts)[0]
    assert [found[f"iou/{name}"].item() for name in scores.classes] == pytest.approx(per_class.tolist())
    assert found["iou"].item() == pytest.approx(per_class.mean().item())
    assert found["accuracy"].item() == pytest.approx(np.mean((preds == target)[known].numpy()))


def test_dice_of_several_classes_agrees_with_torchmetrics() -> None:
    preds, target = random_masks(4, 3)
    peer = DiceScore(num_classes=3, average="macro", aggregation_level="samplewise", input_format="index")
    peer.update(preds, target)
    table = count(preds, target, classes=3)
    assert image_dice(table, classes=3).mean().item() == pytest.approx(peer.compute().item())


def test_absent_class_is_left_out_of_the_mean() -> None:
    preds, target = torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 1, 0]]])
    scores = SegmentScores(classes=("sky", "road", "car"))
    scores.update(count(preds, target, classes=3))
    found = scores.compute()
    assert found["iou"].item() == pytest.approx(0.5)  # sky 1 of 2, road 1 of 2
    assert math.isnan(found["iou/car"].item())


def test_table_has_plain_numbers() -> None:
    table = count(torch.tensor([[[1, 1]], [[0, 0]]]), torch.tensor([[[1, 0]], [[0, 0]]]), classes=1)
    assert score_table(["a.jpg", "b.jpg"], table, ("car",)) == [
        {"name": "a.jpg", "dice": pytest.approx(2 / 3), "iou": 0.5, "accuracy": 0.5},
        {"name": "b.jpg", "dice": 1.0, "iou": 1.0, "accuracy": 1.0},
    ]


def test_deterministic_counting_needs_no_extra_memory() -> None:
    # torchmetrics' confusion matrix would take 480 x 360 x 121 x 8 bytes = 167 MB an image here.
    preds, target = torch.randint(0, 11, (1, 360, 480)), torch.randint(0, 11, (1, 360, 480))
    torch.use_deterministic_algorithms(True)
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            count(preds, target, classes=11)
    finally:
        torch.use_deterministic_algorithms(False)
    assert max(event.self_cpu_memory_usage for event in record.events()) < 5e6
