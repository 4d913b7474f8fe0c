"""Figures of style transfer: content, style image and result side by side, and style images as the loss gets them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from callbacks.visualization.best_and_worst import Sample
from callbacks.visualization.image_grid import LARGE, SMALL, WIDTH, Panel, draw_comparison, draw_grid, draw_single
from callbacks.visualization.masks import center_crop, resize_image, resize_pixels, to_uint8
from callbacks.visualization.task_figures import Figures

#: Side of the corner of a result that is drawn enlarged: artifacts at borders and checkerboards are visible there.
CORNER = SMALL // 4


class StyleFigures(Figures):
    """Draws the style images, validation images beside their results, and training patches.

    Args:
        styles: returns the style images, ``(3, h, w)`` float32 in [0, 1] each; called when something is drawn, after
            the data are prepared.
        names: names of the styles; written beside images if there are several.
        random_features: returns whether the loss uses an untrained VGG; results are then labeled so. Known once the
            loss is loaded.
    """

    def __init__(
        self,
        *,
        styles: Callable[[], list[Tensor]],
        names: Sequence[str] = (),
        random_features: Callable[[], bool] = lambda: False,
    ) -> None:
        self.styles, self.names, self.random_features = styles, tuple(names), random_features

    def score_text(self, score: float) -> str:
        """Formats the combined loss."""
        return f"loss {score:.4f}"

    def draw_batch(self, batch: Mapping[str, Any], *, count: int, note: str) -> Tensor:
        """Draws training patches, four in a row.

        Args:
            batch: a ``StyleBatch``.
            count: maximum number of patches.
            note: second line.
        """
        panels = [Panel("", resize_image(image, SMALL)) for image in batch["content"][:count]]
        return draw_grid(panels, title="training images", note=note)

    def draw_sample(self, sample: Sample, *, note: str) -> Tensor:
        """Draws content, style image and an enlarged corner of the result small, and the result large.

        Of the style image the center is drawn, at the scale of the content.
        """
        content, preds, index = sample.inputs["content"], sample.outputs["preds"], int(sample.inputs["style"])
        small = [
            Panel("content", resize_image(content, SMALL)),
            Panel(
                self.names[index] if len(self.names) > 1 else "style",
                resize_image(center_crop(self.styles()[index], content.shape[-1]), SMALL),
            ),
            Panel("corner", resize_pixels(preds[:, :CORNER, :CORNER], SMALL)),
        ]
        title = f"{sample.name}: {self.score_text(sample.score)}"
        return draw_comparison(small, Panel(self._result, resize_image(preds, LARGE)), title=title, note=note)

    def draw_scored(self, samples: Sequence[Sample], *, title: str, note: str) -> Tensor:
        """Draws images, each beside its result with the loss, two pairs in a row."""
        panels = []
        for sample in samples:
            panels.append(Panel("content", resize_image(sample.inputs["content"], SMALL)))
            panels.append(Panel(self.score_text(sample.score), resize_image(sample.outputs["preds"], SMALL)))
        return draw_grid(panels, title=title, note=f"{self._result}; {note}" if self.random_features() else note)

    def draw_start(self) -> dict[str, Tensor]:
        """Draws the style image as the loss gets it; of several the centers."""
        styles = self.styles()
        if len(styles) == 1:
            return {"style_image": draw_style_image(styles[0])}
        panels = [
            Panel(name, resize_image(center_crop(style, min(style.shape[1:])), SMALL))
            for name, style in zip(self.names, styles, strict=True)
        ]
        return {"style_image": draw_grid(panels, title="style images", note=f"{len(styles)} styles")}

    @property
    def _result(self) -> str:
        return "result, random features" if self.random_features() else "result"


def draw_style_image(style: Tensor) -> Tensor:
    """Draws the style image at most ``WIDTH`` pixels wide and high; a small one is enlarged by a whole number.

    Args:
        style: ``(3, h, w)`` float32 in [0, 1].

    Returns:
        uint8 ``(3, H, WIDTH)``.
    """
    height, width = style.shape[1:]
    longer = max(height, width)
    if longer > WIDTH:
        size = [max(1, round(side * WIDTH / longer)) for side in (height, width)]
        fitted = F.interpolate(style[None], size=size, mode="bilinear", antialias=True)[0]
    else:
        fitted = style.repeat_interleave(WIDTH // longer, 1).repeat_interleave(WIDTH // longer, 2)
    return draw_single(to_uint8(fitted), title="style image", note=f"as the loss gets it, {width} x {height} px")
