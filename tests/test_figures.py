from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.figures import FigureLogger
from callbacks.visualization.task_figures import Figures
from tests.helpers.tiny_segment import disc_figures, fit_discs, read_events

FIGURES = {
    "figures/training_batch": [0, 2],  # the first step of each stage
    "figures/validation_1": [2, 6, 10],
    "figures/validation_2": [2, 6, 10],
    "figures/worst_1": [2, 6, 10],
    "figures/precision_recall": [2, 6, 10],
}


class Remember(Figures):
    """Draws nothing and records the samples it gets."""

    def __init__(self) -> None:
        self.drawn: list[Sample] = []

    def draw_sample(self, sample: Sample, *, note: str) -> Tensor:
        self.drawn.append(sample)
        return torch.zeros(3, 1, 1, dtype=torch.uint8)


def observed(logger: FigureLogger, names: list[str], scores: list[float], *, batch: int) -> list[Sample]:
    """The samples that are drawn after a validation."""
    logger.reset()
    for first in range(0, len(names), batch):
        part = slice(first, first + batch)
        values = torch.tensor(scores[part])
        logger.update({"name": names[part], "image": values[:, None]}, {"loss": torch.tensor(0.0), "score": values})
    figures = logger.figures
    assert isinstance(figures, Remember)
    figures.drawn.clear()
    logger.draw("")
    return list(figures.drawn)


def test_fit_logs_and_saves_every_figure_in_time(tmp_path: Path) -> None:
    fit_discs(tmp_path, [disc_figures(tmp_path / "figures", fixed=2, worst=1)])
    events = read_events(tmp_path)
    assert {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]} == FIGURES
    saved = sorted(file.name for file in (tmp_path / "figures").iterdir())
    assert saved == sorted(f"{tag.removeprefix('figures/')}.png" for tag in FIGURES)
    last = events.Images("figures/validation_1")[-1]
    with Image.open(tmp_path / "figures" / "validation_1.png") as image:
        assert image.size == (last.width, last.height)
        assert np.asarray(image).std() > 10


def test_other_ranks_draw_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning.pytorch.trainer.trainer.Trainer.is_global_zero", False)
    fit_discs(tmp_path, [disc_figures(tmp_path / "figures")], logger=False, default_root_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_fixed_images_do_not_depend_on_batches_and_scores() -> None:
    names = [f"car_{number}" for number in range(20)]
    logger = FigureLogger(Remember(), fixed=3, worst=0)
    chosen = [sample.name for sample in observed(logger, names, [0.5] * 20, batch=4)]
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 3
    again = observed(logger, names, [number / 20 for number in range(20)], batch=7)
    assert [sample.name for sample in again] == chosen


@pytest.mark.parametrize(("mode", "worst"), [("max", ["d", "b"]), ("min", ["c", "a"])])
def test_worst_images_are_those_of_the_epoch(mode: Any, worst: list[str]) -> None:
    scores = {"a": 0.5, "b": 0.25, "c": 0.75, "d": 0.125}
    logger = FigureLogger(Remember(), mode=mode, fixed=0, worst=2)
    drawn = observed(logger, list(scores), list(scores.values()), batch=3)
    assert [(sample.name, sample.score, sample.inputs["image"].item()) for sample in drawn] == [
        (name, scores[name], scores[name]) for name in worst
    ]
    assert "loss" not in drawn[0].outputs
    assert [sample.name for sample in observed(logger, ["e"], [0.9], batch=1)] == ["e"]


def test_full_disk_warns_once_and_training_continues(tmp_path: Path) -> None:
    (tmp_path / "figures").touch()  # a file where the folder should be: nothing can be written
    with pytest.warns(UserWarning, match=r"training_batch.png could not be written"):
        trainer = fit_discs(tmp_path, [disc_figures(tmp_path / "figures", fixed=1, worst=0)])
    assert trainer.global_step == 10


def test_default_figures_show_all_images_of_batch_and_output() -> None:
    gray, red = torch.full((3, 8, 8), 0.5), torch.zeros(3, 16, 16)
    red[0] = 1
    sample = Sample(
        name="a", score=0.5, inputs={"image": gray, "name": "a"}, outputs={"preds": red, "score": red[0, 0]}
    )
    drawn = Figures().draw_sample(sample, note="n")
    assert drawn.shape == (3, 92 + 244, 972)
    assert [drawn[:, 92 + 100, column].tolist() for column in (120, 364, 608)] == [[128] * 3, [255, 0, 0], [255] * 3]
    batch = {"image": torch.stack([gray, gray]), "target": torch.stack([red, red]), "name": ["a", "b"]}
    rows = Figures().draw_batch(batch, count=8, note="n")
    assert rows.shape == (3, 92 + 2 * 244, 972)
    assert rows[:, 92 + 244 + 100, 364].tolist() == [255, 0, 0]
