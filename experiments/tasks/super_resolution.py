"""Super-resolution and restoration: figures, options and files of ``predict``, table of scores."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jsonargparse import ArgumentParser
from lightning import Callback
from numpy.typing import NDArray

from callbacks.prediction.images import ImageFiles
from callbacks.training.icnr_init import ICNRInit
from callbacks.visualization.super_resolution import SuperResolutionFigures
from datamodules.base import ImageDataModule
from datamodules.index.folder_scan import list_images
from datamodules.io.image import read_image
from datamodules.io.native_depth import read_extras
from datamodules.prediction.datamodule import PredictDataModule
from experiments.cli.usage import UsageError
from experiments.tasks.prediction import PredictOutput, PredictRequest, VideoFinish
from experiments.tasks.spec import TaskSpec, table_with_mean
from lightning_modules.super_resolution import SuperResolutionModule
from lightning_modules.super_resolution_metrics import mean_scores
from models.super_resolution.upsampling import SubpixelUpsample


class Column(NamedTuple):
    """One column of the table of scores."""

    key: str
    title: str
    width: int
    format: str

    def cell(self, row: Mapping[str, Any]) -> str:
        """Formats the value of a row, ``-`` if it has none."""
        return f"{format(row[self.key], self.format) if self.key in row else '-':>{self.width}}"


COLUMNS = (
    Column("psnr", "PSNR", 7, ".2f"),
    Column("bicubic_psnr", "bicubic", 8, ".2f"),
    Column("gain", "gain", 6, "+.2f"),
    Column("ssim", "SSIM", 7, ".4f"),
    Column("bicubic_ssim", "bicubic", 8, ".4f"),
    Column("blur", "blur", 6, ".3f"),
    Column("bicubic_blur", "bicubic", 8, ".3f"),
    Column("target_blur", "target", 7, ".3f"),
    Column("lpips", "LPIPS", 7, ".3f"),
    Column("bicubic_lpips", "bicubic", 8, ".3f"),
    Column("color_error", "color error", 12, ".2f"),
    Column("bicubic_color_error", "bicubic", 8, ".2f"),
    Column("colorfulness", "colorful", 9, ".1f"),
    Column("target_colorfulness", "target", 7, ".1f"),
)


class SuperResolutionSpec(TaskSpec[SuperResolutionModule]):
    """Enlarges or restores images and videos."""

    module = SuperResolutionModule
    monitor = "val/psnr"
    mode = "max"
    scores = ("val/psnr", "val/ssim", "val/bicubic_psnr", "val/bicubic_ssim", "val/loss")
    takes_videos = True

    def figures(self, model: SuperResolutionModule, data: ImageDataModule) -> SuperResolutionFigures:  # noqa: ARG002
        """Draws input, bicubic, result and target."""
        return SuperResolutionFigures()

    def init_callbacks(self, model: SuperResolutionModule, loaded: Collection[str]) -> list[Callback]:
        """Initializes sub-pixel upsampling with ICNR where the network has any."""
        upsamples = any(isinstance(part, SubpixelUpsample) for part in model.modules())
        return [ICNRInit(keep=loaded)] if upsamples else []

    def table_lines(self, table: Sequence[Mapping[str, Any]]) -> list[str]:
        """Formats the scores of each image beside those of bicubic enlargement, and the mean.

        >>> row = {"name": "a.png", "psnr": 30.0, "bicubic_psnr": 28.5, "ssim": 0.91, "bicubic_ssim": 0.9}
        >>> row |= {"blur": 0.4, "bicubic_blur": 0.5, "target_blur": 0.375}
        >>> for line in SPEC.table_lines([row]):
        ...     print(line)
        image    PSNR  bicubic   gain    SSIM  bicubic   blur  bicubic  target
        a.png   30.00    28.50  +1.50  0.9100   0.9000  0.400    0.500   0.375
        mean    30.00    28.50  +1.50  0.9100   0.9000  0.400    0.500   0.375
        """
        if not table:
            return []
        rows = [{**row, "gain": row["psnr"] - row["bicubic_psnr"]} for row in table]
        mean = {"name": "mean", **mean_scores(rows)}
        columns = [column for column in COLUMNS if any(column.key in row for row in rows)]
        width = max(len("image"), *(len(row["name"]) for row in rows))
        baseline = rows[0].get("baseline", "bicubic")
        titles = [baseline if column.title == "bicubic" else column.title for column in columns]
        cells = (f"{title:>{column.width}}" for title, column in zip(titles, columns, strict=True))
        head = " ".join([f"{'image':{width}}", *cells])
        lines = [" ".join([f"{row['name']:{width}}", *(c.cell(row) for c in columns)]) for row in [*rows, mean]]
        return table_with_mean(head, lines[:-1], lines[-1])

    def add_predict_arguments(self, parser: ArgumentParser) -> None:
        """Adds scale, self-ensemble and comparison strips."""
        parser.add_argument(
            "--scale",
            type=int | None,
            default=None,
            help="magnification, one that the network was trained for (default: that of the checkpoint's stage)",
        )
        parser.add_argument(
            "--ensemble",
            action="store_true",
            help="self-ensemble: average over the 8 flips and rotations; slightly better, 8 times slower",
        )
        parser.add_argument(
            "--strip", action="store_true", help="also write strips: input enlarged by bicubic, result, target if known"
        )
        parser.add_argument(
            "--target", type=Path | None, default=None, help="folder of true images of the same names, for the strips"
        )

    def predict_output(self, model: SuperResolutionModule, request: PredictRequest) -> PredictOutput:
        """Reads images at full depth and writes ``result/NAME.png``, and strips if asked; videos have no strips.

        Raises:
            UsageError: for a scale that the network was not trained for, or options that do not go together.
        """
        options = request.options
        if options.target is not None and not options.strip:
            raise UsageError("--target is for the strips: add --strip, or leave --target out")
        if options.scale is not None:
            trained = sorted({stage.scale for stage in request.trained_stages if stage.scale is not None})
            if options.scale not in trained:
                scales = " and ".join(f"{scale}x" for scale in trained)
                raise UsageError(f"--scale {options.scale}: this network was trained for {scales}")
            model.set_stage(replace(request.stage, scale=options.scale))
        model.ensemble = model.ensemble or options.ensemble
        return PredictOutput(
            data=PredictDataModule(
                images=request.images,
                num_workers=min(1, request.num_workers),
                keep_originals=options.strip,
                timeout=request.timeout,
                bits=request.bits,
            ),
            files=ImageFiles(
                folder=request.folder,
                scale=model.scale,
                extras=read_extras,
                target=_target_reader(options.target, bits=request.bits) if options.strip else None,
            ),
            waiting=1,  # enlarged images take much memory
            video=VideoFinish(finish=lambda result, _, __: {"result": result}),
        )


def _target_reader(folder: Path | None, *, bits: int) -> Callable[[str], NDArray[np.uint8] | None]:
    """Returns a function that reads the true image of a name: relative, without a suffix.

    Raises:
        UsageError: if there is no such folder.
    """
    if folder is None:
        return lambda _name: None
    if not folder.is_dir():
        raise UsageError(f"--target {folder} is not a folder")
    files = {file.relative_to(folder).with_suffix("").as_posix(): file for file in list_images(folder)}
    return lambda name: read_image(files[name], bits=bits) if name in files else None


SPEC = SuperResolutionSpec()
