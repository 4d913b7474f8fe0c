"""Base class of the figures of a task: tensors in, uint8 RGB images out."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.image_grid import SMALL, Panel, draw_grid, draw_rows, fill_row
from callbacks.visualization.masks import resize_pixels


class Figures:
    """Draws training batches and validation samples of a task.

    The base class draws every RGB image of a batch and of a step's output, labeled with its field's name. A task
    overrides the methods whose figure should show more. All methods return uint8 images ``(3, H, W)``.
    """

    def score_text(self, score: float) -> str:
        """Formats the score of a sample together with its name."""
        return f"score {score:.4f}"

    def panels(self, sample: Sample) -> list[Panel]:
        """Draws a sample as a row of at most four panels."""
        fields = {**sample.inputs, **sample.outputs}
        return [Panel(label, resize_pixels(image, SMALL)) for label, image in _images(fields, ndim=3).items()][:4]

    def draw_batch(self, batch: Mapping[str, Any], *, count: int, note: str) -> Tensor:
        """Draws the first samples of a training batch.

        Args:
            batch: a batch of the train loader, on the CPU.
            count: maximum number of samples.
            note: second line of the figure.
        """
        return draw_rows(_images(batch, ndim=4), count=count, title="training batch", note=note)

    def draw_sample(self, sample: Sample, *, note: str) -> Tensor:
        """Draws one validation sample.

        Args:
            sample: the sample.
            note: second line of the figure.
        """
        title = f"{sample.name}: {self.score_text(sample.score)}"
        return draw_grid(self.panels(sample), title=title, note=note)

    def draw_scored(self, samples: Sequence[Sample], *, title: str, note: str) -> Tensor:
        """Draws validation samples below each other.

        Args:
            samples: in the order they are drawn; at least one.
            title: first line of the figure.
            note: second line of the figure.
        """
        panels = [panel for sample in samples for panel in fill_row(self.panels(sample))]
        return draw_grid(panels, title=title, note=note)

    def draw_start(self) -> dict[str, Tensor]:
        """Draws what stays the same during training, by name; called once before the first step."""
        return {}

    def summarize(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> Any | None:
        """Returns what ``draw_summary`` needs of a validation batch: small, on the CPU, picklable."""
        return None

    def draw_summary(self, summaries: Sequence[Any], *, note: str) -> dict[str, Tensor]:
        """Draws figures of the whole validation set, by name.

        Args:
            summaries: what ``summarize`` returned, of all ranks; not empty.
            note: second line of the figure.
        """
        return {}


def _images(fields: Mapping[str, Any], *, ndim: int) -> dict[str, Tensor]:
    """Selects the fields that are RGB images."""
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, Tensor) and value.ndim == ndim and value.shape[-3] == 3 and value.is_floating_point()
    }
