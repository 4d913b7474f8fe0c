"""Style transfer: figures, options and files of ``predict``, table of scores."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast

from jsonargparse import ArgumentParser
from lightning import Callback
from lightning.pytorch.utilities import rank_zero_only

from callbacks.prediction.images import StylizedFiles, blend
from callbacks.training.style_calibration import StyleCalibration
from callbacks.visualization.style import StyleFigures
from datamodules.base import ImageDataModule
from datamodules.io.native_depth import read_extras, read_native_depth
from datamodules.prediction.datamodule import PredictDataModule
from experiments.cli.usage import UsageError
from experiments.inference.styles import choose_style
from experiments.runs.initial_weights import InitialWeights
from experiments.tasks.links import STYLE_LINKS
from experiments.tasks.prediction import PredictOutput, PredictRequest, VideoFinish
from experiments.tasks.spec import TaskSpec, table_with_mean
from lightning_modules.style import StyleData, StyleModule
from models.style.style_rows import fit_style_rows
from models.weights.partial_load import PartialLoad, load_matching_

_MAX_SMOOTH = 0.98  # a memory of about fifty frames
_RANDOM_FEATURES = "the network was trained with random VGG features, not with those of a trained VGG"


class StyleSpec(TaskSpec[StyleModule]):
    """Repaints images and videos in the style of one image, or of one of several."""

    module = StyleModule
    scores = ("val/relative", "val/loss")
    takes_videos = True
    links = STYLE_LINKS

    def figures(self, model: StyleModule, data: ImageDataModule) -> StyleFigures:
        """Draws the style images, and content images beside their results."""
        return StyleFigures(
            styles=lambda: cast(StyleData, data).styles(),
            names=model.styles,
            random_features=lambda: model.loss.random,
        )

    def load_fitting_(self, model: StyleModule, weights: InitialWeights) -> PartialLoad:
        """Loads every tensor that fits; styles that the file does not have start from the mean of its styles.

        Raises:
            WeightsError: if no tensor fits.
        """
        net = model.many_styles
        if net is None:
            return super().load_fitting_(model, weights)
        rows, new = fit_style_rows(net, weights.tensors, weights.styles)
        report = load_matching_(net, rows)
        kept = [name for name in model.styles if name not in new]
        lines = [f"styles of the file: {', '.join(kept)}"] if kept else []
        lines += [f"new styles, from the mean of the file's: {', '.join(new)}"] if new else []
        rank_zero_only(print)("\n".join(lines))
        return report

    def init_callbacks(self, model: StyleModule, loaded: Collection[str]) -> list[Callback]:  # noqa: ARG002
        """Calibrates the loss, whatever the network starts from."""
        return [StyleCalibration()]

    def table_lines(self, table: Sequence[Mapping[str, Any]]) -> list[str]:
        """Formats the loss of each image beside that of the untouched image, and the mean.

        >>> for line in SPEC.table_lines([{"name": "a.png", "loss": 0.25, "untouched": 1.25, "relative": 0.2}]):
        ...     print(line)
        image     loss  untouched  share
        a.png   0.2500     1.2500   20 %
        mean    0.2500     1.2500   20 %
        """
        if not table:
            return []
        rows = [(str(row["name"]), float(row["loss"]), float(row["untouched"])) for row in table]
        mean = ("mean", sum(row[1] for row in rows) / len(rows), sum(row[2] for row in rows) / len(rows))
        width = max(len("image"), *(len(name) for name, *_ in [*rows, mean]))
        lines = [
            f"{name:{width}} {loss:8.4f} {untouched:10.4f} {_percent(loss, untouched):>6}"
            for name, loss, untouched in [*rows, mean]
        ]
        return table_with_mean(f"{'image':{width}} {'loss':>8} {'untouched':>10} {'share':>6}", lines[:-1], lines[-1])

    def add_predict_arguments(self, parser: ArgumentParser) -> None:
        """Adds style, strength, colors, smoothing and tile size."""
        parser.add_argument(
            "--style",
            type=str | None,
            default=None,
            help="networks of many styles: the name of one, or a blend: NAME:0.7,NAME:0.3",
        )
        parser.add_argument(
            "--strength", type=float, default=1.0, help="from 0, the original image, to 1, the network's output"
        )
        parser.add_argument("--keep_colors", action="store_true", help="keep the image's colors, repaint its luminance")
        parser.add_argument(
            "--smooth",
            type=float,
            default=0.0,
            help="videos: weight of past frames, moved along the motion of the video, against flicker, from 0 to below "
            "1; 0.8 is a good start",
        )
        parser.add_argument(
            "--tile",
            type=int | None,
            default=None,
            help="side in pixels of the tiles that large images are processed in (default: the checkpoint's); the "
            "larger, the more memory",
        )

    def predict_output(self, model: StyleModule, request: PredictRequest) -> PredictOutput:
        """Reads images at full depth and writes ``result/NAME.png``, blended with the original as asked.

        Raises:
            UsageError: for an option out of its range.
        """
        options = request.options
        if not 0 <= options.strength <= 1:
            raise UsageError(f"--strength {options.strength:g}: must lie between 0 and 1")
        if not 0 <= options.smooth <= _MAX_SMOOTH:
            raise UsageError(f"--smooth {options.smooth:g}: must lie between 0 and {_MAX_SMOOTH}")
        choose_style(model, options.style)
        if options.tile is not None:
            try:
                model.tile = options.tile
            except ValueError as error:
                raise UsageError(f"--tile {options.tile}: {error}") from error
        return PredictOutput(
            data=PredictDataModule(
                images=request.images,
                num_workers=min(1, request.num_workers),
                keep_originals=False,
                timeout=request.timeout,
                bits=request.bits,
            ),
            files=StylizedFiles(
                folder=request.folder,
                extras=read_extras,
                original=partial(read_native_depth, bits=request.bits),
                strength=options.strength,
                keep_colors=options.keep_colors,
            ),
            video=VideoFinish(
                finish=lambda result, original, _: {
                    "result": blend(result, original, strength=options.strength, keep_colors=options.keep_colors)
                },
                smooth=options.smooth,
            ),
            remark=_RANDOM_FEATURES if model.loss.random else "",
        )


def _percent(loss: float, untouched: float) -> str:
    return f"{loss / untouched:.0%}".replace("%", " %") if untouched else "-"


SPEC = StyleSpec()
