"""The figures of style: what stands where on a sheet, and when it is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.visualization.dashboard_text import layout
from callbacks.visualization.figures import Kept
from callbacks.visualization.image_grid import HEAD, LARGE, SMALL, STEP, WIDTH
from callbacks.visualization.style import StyleFigures, content_sheet, painting_sheet, scored_sheet, style_sheet
from tests.helpers.tiny_segment import read_events
from tests.helpers.tiny_style import STAGE, gray_task

FIGURES = {
    "figures/painting": [0],
    "figures/training_batch": [0],
    "figures/validation_1": [1, 2],
    "figures/validation_2": [1, 2],
    "figures/worst_1": [1, 2],
}


def gray(value: float, height: int = 8, width: int = 8) -> Tensor:
    return torch.full((3, height, width), value)


def shade(sheet: Tensor, left: int, top: int) -> list[int]:
    """The color in the middle of a small panel whose corner is given, clear of its label."""
    color: list[int] = sheet[:, HEAD + top + SMALL // 2, left + SMALL // 2].tolist()
    return color


def fit(folder: Path, figures: StyleFigures) -> None:
    module, data = gray_task()
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[ProgressiveResizing([replace(STAGE, epochs=2)], rehearse=False), figures],
        use_distributed_sampler=False,
        logger=TensorBoardLogger(folder, name="", version="", default_hp_metric=False),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    trainer.fit(module, data)


def test_a_fit_shows_the_painting_once_and_the_images_every_time(tmp_path: Path) -> None:
    fit(tmp_path, StyleFigures(fixed=2, worst=1))
    events = read_events(tmp_path)
    assert {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]} == FIGURES
    saved = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert saved == sorted(f"{tag.removeprefix('figures/')}.png" for tag in FIGURES)
    with Image.open(tmp_path / "figures" / "painting.png") as image:
        assert image.size == (WIDTH, HEAD + WIDTH)  # 4 x 4 pixels, each 246 pixels wide
        assert set(np.unique(np.asarray(image)[HEAD:])) == {round(0.75 * 255)}


def test_the_worst_is_the_one_with_the_largest_loss() -> None:
    figures = StyleFigures(fixed=0, worst=2)
    scores = torch.tensor([0.5, 3.0, 0.1, 2.0])
    batch = {"name": ["a", "b", "c", "d"], "content": torch.zeros(4, 3, 8, 8)}
    figures.observe(batch, {"loss": scores.mean(), "preds": torch.zeros(4, 3, 8, 8), "score": scores})
    assert [kept.name for kept in figures._worst] == ["b", "d"]


def test_image_painting_and_result_stand_where_they_belong() -> None:
    corner = gray(0.8, 128, 128)
    corner[:, :60, :60] = 0.4
    painting = gray(0.0, 300, 500)
    painting[:, 86:214, 186:314] = 0.6  # the middle 128 pixels
    sheet = style_sheet(gray(0.2, 128, 128), painting, corner, title="t", note="n", random=False)
    assert sheet.dtype == torch.uint8
    assert shade(sheet, 0, 0) == [51] * 3
    assert shade(sheet, STEP, 0) == [153] * 3
    assert shade(sheet, 0, STEP) == [102] * 3
    result = sheet[:, HEAD : HEAD + LARGE, 2 * STEP :]
    assert result[:, 100, 100].tolist() == [102] * 3
    assert result[:, 300, 300].tolist() == [204] * 3


def test_results_of_random_features_are_labelled_so() -> None:
    images = gray(0.2), gray(0.4), gray(0.6)
    plain, random = (style_sheet(*images, title="t", note="n", random=random) for random in (False, True))
    plates = [(sheet[0, HEAD:, 2 * STEP :] == 20).sum() for sheet in (plain, random)]
    assert plates[1] > 2 * plates[0]  # a longer label
    kept = [Kept(order=0, name="a", score=1.5, item={"content": gray(0.3)}, output={"preds": gray(0.7)})]
    plain, random = (scored_sheet(kept, title="t", note="n", random=random) for random in (False, True))
    heads = [int((sheet[0, :HEAD] < 128).sum()) for sheet in (plain, random)]
    assert heads[1] > heads[0] + 500  # said in the second line
    torch.testing.assert_close(plain[:, HEAD:], random[:, HEAD:], rtol=0, atol=0)


def test_the_module_tells_whether_its_features_are_random(tmp_path: Path) -> None:
    figures = StyleFigures(fixed=1, worst=0)
    module, data = gray_task()
    module.loss.random = True
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=False)
    trainer.datamodule = data  # type: ignore[attr-defined]
    figures.on_validation_epoch_start(trainer, module)
    assert figures._random
    module.loss.random = False
    figures.on_validation_epoch_start(trainer, module)
    assert not figures._random


def test_scored_images_stand_beside_their_results() -> None:
    kept = [
        Kept(order=n, name=f"{n}", score=n, item={"content": gray(n / 5)}, output={"preds": gray(1 - n / 5)})
        for n in (1, 2, 3)
    ]
    sheet = scored_sheet(kept, title="t", note="n", random=False)
    assert sheet.shape == (3, HEAD + 2 * STEP, WIDTH)
    assert [shade(sheet, place * STEP, 0)[0] for place in range(4)] == [51, 204, 102, 153]
    assert [shade(sheet, place * STEP, STEP)[0] for place in range(4)] == [153, 102, 255, 255]


def test_training_patches_are_shown_four_a_row() -> None:
    sheet = content_sheet(torch.stack([gray(n / 5) for n in range(5)]), note="n")
    assert sheet.shape == (3, HEAD + 2 * STEP, WIDTH)
    assert [shade(sheet, place * STEP, 0)[0] for place in range(4)] == [0, 51, 102, 153]


def test_the_painting_is_shown_with_its_own_pixels() -> None:
    painting = torch.rand(3, 20, 300, generator=torch.Generator().manual_seed(0))
    sheet = painting_sheet(painting)
    assert sheet.shape == (3, HEAD + 60, WIDTH)  # three times as large
    left = (WIDTH - 900) // 2
    expected = (painting * 255).round().byte()
    torch.testing.assert_close(sheet[:, HEAD + 1 :: 3, left + 1 : left + 900 : 3], expected, rtol=0, atol=0)
    assert painting_sheet(gray(0.5, 1000, 2 * WIDTH)).shape == (3, HEAD + 500, WIDTH)
    assert painting_sheet(gray(0.5, 2 * WIDTH, 40)).shape == (3, HEAD + WIDTH, WIDTH)


def test_the_charts_of_style() -> None:
    tags = ["train/loss", "val/loss", "val/relative", "train/loss/content", "train/loss/style_12", "val/loss/tv"]
    assert set(layout(tags)["how well the network does"]) == {
        "loss",
        "loss as a share of the untouched images' loss",
        "parts of the training loss",
        "parts of the validation loss",
    }
