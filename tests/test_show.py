"""Best and worst images of a validation, and the figures they are drawn in."""

import pytest
import torch
from lightning import Trainer

from callbacks.visualization.best_and_worst import BestAndWorst, Sample
from callbacks.visualization.masks import EXTRA, MISSED
from callbacks.visualization.segmentation import SegmentationFigures
from callbacks.visualization.super_resolution import SuperResolutionFigures
from datamodules.batches import SegmentBatch, SegmentOutput


def observed(scores: list[float], *, count: int, batch_size: int = 3, mode: str = "max") -> BestAndWorst:
    extremes = BestAndWorst(count=count, mode=mode)
    for first in range(0, len(scores), batch_size):
        part = scores[first : first + batch_size]
        size = len(part)
        batch = SegmentBatch(
            image=torch.zeros(size, 3, 4, 4), mask=torch.zeros(size, 4, 4), name=[str(first + i) for i in range(size)]
        )
        output = SegmentOutput(loss=torch.tensor(0.0), probs=torch.zeros(size, 1, 4, 4), score=torch.tensor(part))
        extremes.update(batch, output)
    return extremes


def test_best_and_worst_come_from_all_batches() -> None:
    extremes = observed([0.5, 0.9, 0.1, 0.7, 0.95, 0.3, 0.6], count=2)
    assert [seen.name for seen in extremes.best] == ["4", "1"]
    assert [seen.name for seen in extremes.worst] == ["2", "5"]
    assert extremes.total / extremes.validated == pytest.approx(4.05 / 7)


def test_smallest_is_best_for_losses() -> None:
    extremes = observed([0.5, 0.9, 0.1, 0.7], count=2, mode="min")
    assert [seen.name for seen in extremes.best] == ["2", "0"]
    assert [seen.name for seen in extremes.worst] == ["1", "3"]


def test_few_images_are_not_listed_twice() -> None:
    extremes = observed([0.5, 0.5, 0.5, 0.5, 0.5], count=9)
    names = [seen.name for seen in (*extremes.best, *extremes.worst)]
    assert sorted(names) == ["0", "1", "2", "3", "4"]
    assert len(extremes.worst) == 3


def test_kept_samples_do_not_hold_their_batch_in_memory() -> None:
    (seen, *_) = observed([0.5, 0.9, 0.1], count=1).worst
    assert seen.inputs["image"].untyped_storage().nbytes() == 3 * 4 * 4 * 4


def test_callback_gets_every_validation_batch() -> None:
    extremes = BestAndWorst(count=1, mode="max")
    batch = SegmentBatch(image=torch.zeros(1, 3, 4, 4), mask=torch.zeros(1, 4, 4), name=["x"])
    output = SegmentOutput(loss=torch.tensor(0.0), probs=torch.zeros(1, 1, 4, 4), score=torch.tensor([0.4]))
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    extremes.on_validation_batch_end(trainer, None, output, batch, 0)  # type: ignore[arg-type]
    assert extremes.validated == 1
    assert extremes.worst[0].name == "x"


def colors_in(image: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(color) for color in image.flatten(1).T.unique(dim=0).tolist()}


def seen(mask: torch.Tensor, probs: torch.Tensor) -> Sample:
    item = {"image": torch.full((3, 64, 64), 0.5), "mask": mask}
    return Sample(name="train/car.jpg", score=0.5, inputs=item, outputs={"probs": probs})


def test_missed_and_surplus_pixels_have_their_own_colors() -> None:
    left, right = torch.zeros(64, 64), torch.zeros(64, 64)
    left[:, :32], right[:, 32:] = 1, 1

    def panels(mask: torch.Tensor, prob: torch.Tensor) -> torch.Tensor:
        drawn = SegmentationFigures(classes=("car",)).draw_scored([seen(mask, prob[None])], title="t", note="n")
        return drawn[:, 100:200]  # the panel alone: legend and title have these colors too

    assert not {MISSED, EXTRA} & colors_in(panels(left, left))
    assert {MISSED, EXTRA} <= colors_in(panels(left, right))
    missed = panels(left, torch.zeros(64, 64))
    assert MISSED in colors_in(missed)
    assert EXTRA not in colors_in(missed)


def test_ignored_pixels_are_not_marked_as_errors() -> None:
    mask = torch.full((64, 64), 255)
    probs = torch.zeros(2, 64, 64)
    probs[1] = 1
    ignored = SegmentationFigures(classes=("road", "car")).draw_scored([seen(mask, probs)], title="t", note="n")
    wrong = SegmentationFigures(classes=("road", "car")).draw_scored([seen(mask * 0, probs)], title="t", note="n")
    assert not torch.equal(ignored, wrong)


def mended(side: int, *, scale: int) -> Sample:
    """A gray image with a red prediction, ``side`` pixels wide."""
    gray = torch.full((3, side, side), 0.5)
    red = torch.zeros(3, side, side)
    red[0] = 1
    scores = {name: torch.tensor(0.5) for name in ("ssim", "bicubic_psnr", "bicubic_ssim")}
    return Sample(
        name="a.png",
        score=30.0,
        inputs={"low_res": gray[:, : side // scale, : side // scale], "high_res": gray},
        outputs={"preds": red, "bicubic": gray, **scores},
    )


def test_rows_of_four_for_enlarging_and_three_for_restoring() -> None:
    def red_at(kept: Sample) -> list[int]:
        sheet = SuperResolutionFigures().draw_scored([kept, kept], title="t", note="n")
        assert sheet.shape == (3, 92 + 2 * 244, 972)
        first_row = sheet[:, 92 + 100, 120::244]
        return [column for column in range(4) if first_row[:, column].tolist() == [255, 0, 0]]

    assert red_at(mended(64, scale=2)) == [2]
    assert red_at(mended(64, scale=1)) == [1]
