from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from callbacks.visualization.figures import Figures, Kept
from callbacks.visualization.segmentation import SegmentFigures
from tests.helpers.tiny_segment import fit_discs, read_events

FIGURES = {
    "figures/training_batch": [0, 2],  # the first step of each stage
    "figures/validation_1": [2, 6, 10],
    "figures/validation_2": [2, 6, 10],
    "figures/worst_1": [2, 6, 10],
    "figures/precision_recall": [2, 6, 10],
}


class Remember(Figures):
    """Draws nothing and remembers what it was asked to draw."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.drawn: list[Kept] = []

    def draw_image(self, kept: Kept, note: str) -> Tensor:
        self.drawn.append(kept)
        return torch.zeros(3, 1, 1, dtype=torch.uint8)

    def draw_batch(self, batch: Any, note: str) -> Tensor:
        return torch.zeros(3, 1, 1, dtype=torch.uint8)


def observed(figures: Remember, names: list[str], scores: list[float], *, batch: int) -> Remember:
    figures.begin()
    for first in range(0, len(names), batch):
        part = slice(first, first + batch)
        values = torch.tensor(scores[part])
        figures.observe({"name": names[part], "image": values[:, None]}, {"loss": torch.tensor(0.0), "score": values})
    figures.drawn.clear()
    figures.figures("")
    return figures


def test_a_fit_shows_every_figure_when_it_should_and_saves_it(tmp_path: Path) -> None:
    fit_discs(tmp_path, [SegmentFigures(fixed=2, worst=1)])
    events = read_events(tmp_path)
    assert {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]} == FIGURES
    saved = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert saved == sorted(f"{tag.removeprefix('figures/')}.png" for tag in FIGURES)
    last = events.Images("figures/validation_1")[-1]
    with Image.open(tmp_path / "figures" / "validation_1.png") as image:
        assert image.size == (last.width, last.height)
        assert np.asarray(image).std() > 10


def test_another_process_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.pytorch.trainer.trainer.Trainer.is_global_zero", False)
    fit_discs(tmp_path, [SegmentFigures()], logger=False, default_root_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_same_images_are_chosen_whatever_the_batches_and_scores() -> None:
    names = [f"car_{number}" for number in range(20)]
    first = observed(Remember(fixed=3, worst=0), names, [0.5] * 20, batch=4)
    chosen = [kept.name for kept in first.drawn]
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 3
    again = observed(first, names, [number / 20 for number in range(20)], batch=7)
    assert [kept.name for kept in again.drawn] == chosen


def test_the_worst_are_those_of_this_epoch_and_bring_their_own_image() -> None:
    names, scores = ["a", "b", "c", "d"], [0.5, 0.25, 0.75, 0.125]
    figures = observed(Remember(fixed=0, worst=2), names, scores, batch=3)
    assert [(kept.name, kept.score, kept.item["image"].item()) for kept in figures.drawn] == [
        ("d", 0.125, 0.125),
        ("b", 0.25, 0.25),
    ]
    assert "loss" not in figures.drawn[0].output
    observed(figures, ["e"], [0.9], batch=1)
    assert [kept.name for kept in figures.drawn] == ["e"]


def test_a_full_disk_warns_once_and_ends_no_training(tmp_path: Path) -> None:
    (tmp_path / "figures").touch()  # a file where the folder should be: nothing can be written
    with pytest.warns(UserWarning, match=r"training_batch.png could not be written"):
        trainer = fit_discs(tmp_path, [SegmentFigures(fixed=1, worst=0)])
    assert trainer.global_step == 10


def test_without_classes_there_is_nothing_to_draw() -> None:
    with pytest.raises(TypeError, match="Linear has no classes"):
        SegmentFigures().setup(None, torch.nn.Linear(1, 1), "fit")  # type: ignore[arg-type]
