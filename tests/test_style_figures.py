"""Figures of style: the layout, and when they are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.dashboard_text import layout
from callbacks.visualization.figures import FigureLogger
from callbacks.visualization.image_grid import HEADER, LARGE, SMALL, STEP, WIDTH
from callbacks.visualization.style import StyleFigures, draw_style_image
from experiments.tasks.style import SPEC
from tests.helpers.tiny_segment import read_events
from tests.helpers.tiny_style import STAGE, gray_task

FIGURES = {
    "figures/style_image": [0],
    "figures/training_batch": [0],
    "figures/validation_1": [1, 2],
    "figures/validation_2": [1, 2],
    "figures/worst_1": [1, 2],
}


def gray(value: float, height: int = 8, width: int = 8) -> Tensor:
    return torch.full((3, height, width), value)


def shade(sheet: Tensor, left: int, top: int) -> list[int]:
    """The color in the middle of a panel, away from its label."""
    color: list[int] = sheet[:, HEADER + top + SMALL // 2, left + SMALL // 2].tolist()
    return color


def fit(folder: Path) -> None:
    module, data = gray_task()
    module.loss.random = False
    figures = FigureLogger(SPEC.figures(module, data), mode="min", folder=folder / "figures", fixed=2, worst=1)
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[ProgressiveResizing([replace(STAGE, epochs=2)], dry_run=False), figures],
        use_distributed_sampler=False,
        logger=TensorBoardLogger(folder, name="", version="", default_hp_metric=False),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, data)


def test_fit_draws_the_style_image_once_and_images_every_time(tmp_path: Path) -> None:
    fit(tmp_path)
    events = read_events(tmp_path)
    assert {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]} == FIGURES
    saved = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert saved == sorted(f"{tag.removeprefix('figures/')}.png" for tag in FIGURES)
    with Image.open(tmp_path / "figures" / "style_image.png") as image:
        assert image.size == (WIDTH, HEADER + WIDTH)  # 4 x 4 pixels, each 246 pixels wide
        assert set(np.unique(np.asarray(image)[HEADER:])) == {round(0.75 * 255)}


def styled(content: Tensor, preds: Tensor, *, name: str = "a", score: float = 1.5) -> Sample:
    return Sample(
        name=name, score=score, inputs={"content": content, "style": torch.tensor(0)}, outputs={"preds": preds}
    )


def figures_of(style: Tensor, *, random: bool = False) -> StyleFigures:
    return StyleFigures(styles=lambda: [style], random_features=lambda: random)


def test_positions_of_content_style_and_result() -> None:
    corner = gray(0.8, 128, 128)
    corner[:, :60, :60] = 0.4
    style = gray(0.0, 300, 500)
    style[:, 86:214, 186:314] = 0.6  # the middle 128 pixels
    sheet = figures_of(style).draw_sample(styled(gray(0.2, 128, 128), corner), note="n")
    assert sheet.dtype == torch.uint8
    assert shade(sheet, 0, 0) == [51] * 3
    assert shade(sheet, STEP, 0) == [153] * 3
    assert shade(sheet, 0, STEP) == [102] * 3
    result = sheet[:, HEADER : HEADER + LARGE, 2 * STEP :]
    assert result[:, 100, 100].tolist() == [102] * 3
    assert result[:, 300, 300].tolist() == [204] * 3


def test_results_of_random_features_are_labeled() -> None:
    sample = styled(gray(0.2), gray(0.6))
    plain, random = (figures_of(gray(0.4), random=random) for random in (False, True))
    plates = [(one.draw_sample(sample, note="n")[0, HEADER:, 2 * STEP :] == 20).sum() for one in (plain, random)]
    assert plates[1] > 2 * plates[0]  # a longer label
    sheets = [one.draw_scored([sample], title="t", note="n") for one in (plain, random)]
    heads = [int((sheet[0, :HEADER] < 128).sum()) for sheet in sheets]
    assert heads[1] > heads[0] + 500  # written in the second line
    torch.testing.assert_close(sheets[0][:, HEADER:], sheets[1][:, HEADER:], rtol=0, atol=0)


def test_loss_decides_whether_features_are_random() -> None:
    module, data = gray_task()
    figures = SPEC.figures(module, data)
    for random in (True, False):
        module.loss.random = random
        assert figures.random_features() == random


def test_scored_images_are_drawn_beside_their_results() -> None:
    samples = [styled(gray(n / 5), gray(1 - n / 5), name=f"{n}", score=n) for n in (1, 2, 3)]
    sheet = figures_of(gray(0.5)).draw_scored(samples, title="t", note="n")
    assert sheet.shape == (3, HEADER + 2 * STEP, WIDTH)
    assert [shade(sheet, place * STEP, 0)[0] for place in range(4)] == [51, 204, 102, 153]
    assert [shade(sheet, place * STEP, STEP)[0] for place in range(4)] == [153, 102, 255, 255]


def test_training_patches_are_drawn_four_in_a_row() -> None:
    batch = {"content": torch.stack([gray(n / 5) for n in range(5)])}
    sheet = figures_of(gray(0.5)).draw_batch(batch, count=8, note="n")
    assert sheet.shape == (3, HEADER + 2 * STEP, WIDTH)
    assert [shade(sheet, place * STEP, 0)[0] for place in range(4)] == [0, 51, 102, 153]


def test_style_image_is_drawn_unscaled() -> None:
    painting = torch.rand(3, 20, 300, generator=torch.Generator().manual_seed(0))
    sheet = draw_style_image(painting)
    assert sheet.shape == (3, HEADER + 60, WIDTH)  # three times as large
    left = (WIDTH - 900) // 2
    expected = (painting * 255).round().byte()
    torch.testing.assert_close(sheet[:, HEADER + 1 :: 3, left + 1 : left + 900 : 3], expected, rtol=0, atol=0)
    assert draw_style_image(gray(0.5, 1000, 2 * WIDTH)).shape == (3, HEADER + 500, WIDTH)
    assert draw_style_image(gray(0.5, 2 * WIDTH, 40)).shape == (3, HEADER + WIDTH, WIDTH)


def test_charts_of_style() -> None:
    tags = ["train/loss", "val/loss", "val/relative", "train/loss/content", "train/loss/style_12", "val/loss/tv"]
    assert set(layout(tags)["quality"]) == {
        "loss",
        "loss relative to the untouched image",
        "parts of the training loss",
        "parts of the validation loss",
    }
