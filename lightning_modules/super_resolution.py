"""Super-resolution and repairs: batches of pairs to losses, scores and images."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from datamodules.batches import ImageBatch, NativePairBatch, PairBatch, PairOutput
from datamodules.stage import Stage
from lightning_modules.base import ImageTask
from lightning_modules.super_resolution_metrics import Lpips, SrScores, blur, psnr, ssim
from models.gather import gather_rows
from models.losses.perceptual import PerceptualLoss
from models.super_resolution.self_ensemble import self_ensemble
from models.super_resolution.sr_resnet import enlarge
from models.tiled_inference import tiled_inference

#: White in whole numbers.
_TOPS = {torch.uint8: 255, torch.int32: 65535}


@runtime_checkable
class Enlarger(Protocol):
    """A net that enlarges ``active_scale`` times."""

    active_scale: int


class ImageScore(TypedDict):
    """One line of the per-image table of a test."""

    name: str  # relative to the data's root
    psnr: float  # dB
    bicubic_psnr: float
    ssim: float
    bicubic_ssim: float
    blur: float  # 0 sharp, 1 blurred; without the truth
    bicubic_blur: float
    target_blur: float
    lpips: NotRequired[float]  # 0 alike; where its weights can be had and the image is large enough
    bicubic_lpips: NotRequired[float]


class SuperResolutionModule(ImageTask):
    """Trains ``net`` to make of a small or spoiled image what it was made from.

    Scores: PSNR and SSIM as the field has them (brightness, borders of ``scale`` pixels left out, means over
    images), and beside each that of bicubic enlargement; at scale 1 that is the input itself. ``test`` adds how
    blurred the images are and how alike they look (``lightning_modules/super_resolution_metrics.py``), which a
    loss that sees is for and PSNR does not tell.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to ``active_scale`` times larger ones; it has ``layer_groups()``.
        loss: maps images made and wanted to parts by name, whose sum is the loss (``models/losses/pixel.py``,
            ``models/losses/perceptual.py``).
        color: judge all three channels by PSNR and not their brightness: for colorising, where the brightness is
            given.
        lpips: ``"auto"`` lets ``test`` measure LPIPS where AlexNet's weights can be had, ``"none"`` never.
        ensemble: whether ``test`` and ``predict`` average over the 8 symmetries: better, and 8 times slower.
        weight_decay: see ``ImageTask``.
        momentum: see ``ImageTask``.
        channels_last: see ``ImageTask``.

    Raises:
        TypeError: if ``net`` has no ``active_scale``.
    """

    test_table: list[ImageScore]

    def __init__(
        self,
        *,
        net: nn.Module,
        loss: nn.Module,
        color: bool = False,
        lpips: Literal["auto", "none"] = "auto",
        ensemble: bool = False,
        weight_decay: float = 1e-7,
        momentum: float | tuple[float, float] = 0.9,
        channels_last: bool = False,
    ) -> None:
        super().__init__(net=net, weight_decay=weight_decay, momentum=momentum, channels_last=channels_last)
        if not isinstance(net, Enlarger):
            raise TypeError(f"{type(net).__name__} needs an active_scale that says how many times it enlarges")
        self.loss, self.color, self.ensemble = loss, color, ensemble
        self.val_loss = MeanMetric()
        self.val_scores, self.val_bicubic = SrScores(), SrScores()
        self.lpips = Lpips(lpips)

    @property
    def scale(self) -> int:
        """How many times larger the net's images are now."""
        net: Any = self.net  # checked in __init__
        return int(net.active_scale)

    @property
    def weights_origin(self) -> str:
        """Where the weights in use came from, in words."""
        features = (
            f"; features of the loss: {self.loss.weights_origin}" if isinstance(self.loss, PerceptualLoss) else ""
        )
        return f"random weights, upsampling as nearest neighbour (ICNR){features}"

    def set_stage(self, stage: Stage) -> None:
        """Lets the net enlarge as ``stage`` says.

        Raises:
            ValueError: if the stage names no scale, or one that the net does not have.
        """
        if stage.scale is None:
            raise ValueError(f"stage '{stage.name}' names no scale: add scale: 2 (or 4, ...; 1 for repairs)")
        net: Any = self.net
        try:
            net.active_scale = stage.scale
        except ValueError as error:
            raise ValueError(f"stage '{stage.name}': {error}") from error

    def setup(self, stage: str) -> None:
        """Loads what the loss looks with, where a loss is needed."""
        if stage in ("fit", "validate") and isinstance(self.loss, PerceptualLoss):
            self.loss.load()

    def forward(self, image: Tensor) -> Tensor:
        """Enlarges an image of any size, in tiles where it is large.

        Args:
            image: ``(1, 3, H, W)`` RGB: float in [0, 1], uint8, or int32 from 0 to 65535. Whole numbers become floats
                tile by tile, so that a large image is never in memory as such.

        Returns:
            float32 ``(1, 3, scale * H, scale * W)``, about [0, 1]; averaged over the symmetries if ``ensemble`` is set.
        """
        top = _TOPS.get(image.dtype, 1)

        def run(tile: Tensor) -> Tensor:
            tile = tile.float() / top
            made: Tensor = self_ensemble(self.net, tile) if self.ensemble else self.net(tile)
            return made

        return tiled_inference(run, image, scale=self.scale)

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Losses of a batch by name, with their sum under ``"loss"``."""
        return self._losses(self.net(batch["low_res"]), batch["high_res"])

    def on_validation_epoch_start(self) -> None:
        """Forgets a validation that was cut short."""
        for metric in (self.val_loss, self.val_scores, self.val_bicubic):
            metric.reset()

    def validation_step(self, batch: PairBatch) -> PairOutput | None:
        """Judges a batch of patches."""
        if not batch["name"]:
            return None
        low, high = batch["low_res"], batch["high_res"]
        preds, bicubic = self.net(low).float(), enlarge(low, self.scale)
        loss = self._losses(preds, high)["loss"]
        ours, theirs = self._scores(preds, high), self._scores(bicubic, high)
        self.val_loss.update(loss, weight=len(low))
        self.val_scores.update(*ours)
        self.val_bicubic.update(*theirs)
        return {
            "loss": loss,
            "preds": preds,
            "score": ours[0],
            "ssim": ours[1],
            "bicubic": bicubic,
            "bicubic_psnr": theirs[0],
            "bicubic_ssim": theirs[1],
        }

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the whole set; every process takes part, whether or not it had images."""
        ours, theirs = self.val_scores.compute(), self.val_bicubic.compute()
        # All processes hold the same values already; saying so keeps Lightning from warning about it.
        self.log("val/psnr", ours["psnr"], prog_bar=True, batch_size=1, sync_dist=True)
        others = {"val/ssim": ours["ssim"], "val/loss": self.val_loss.compute()}
        others |= {f"val/bicubic_{name}": score for name, score in theirs.items()}
        self.log_dict(others, batch_size=1, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Begins a new table."""
        self.lpips.load(self.device)
        self.test_table = []

    def test_step(self, batch: NativePairBatch) -> None:
        """Judges whole images, one by one."""
        if not batch["name"]:
            return
        for low, high, name in zip(batch["low_res"], batch["high_res"], batch["name"], strict=True):
            self.test_table.append(self._judged(low[None], high[None], name))

    def on_test_epoch_end(self) -> None:
        """Completes ``test_table``, the worst image first, and logs its means, on every process."""
        self.test_table = sorted(gather_rows(self.test_table), key=lambda row: (row["psnr"], row["name"]))
        means = {f"test/{name}": mean for name, mean in mean_scores(self.test_table).items()}
        # All processes hold the same values already; saying so keeps Lightning from warning about it.
        self.log_dict(means, batch_size=1, sync_dist=True)

    def predict_step(self, batch: ImageBatch) -> Tensor:
        """Gives the enlarged image ``(1, 3, scale * H, scale * W)`` as it is saved: uint8, or uint16 for 16 bits."""
        image = batch["image"]
        deep = image.dtype == torch.int32
        made: Tensor = self(image).clamp_(0, 1).mul_(_TOPS[image.dtype]).round_()  # in place: it can be half a gigabyte
        return made.to(torch.uint16 if deep else torch.uint8)

    def _judged(self, low: Tensor, high: Tensor, name: str) -> ImageScore:
        """Judges one image (1, 3, H, W)."""
        preds, bicubic = self(low), enlarge(low, self.scale).clamp(0, 1)
        ours, theirs = self._scores(preds, high), self._scores(bicubic, high)
        row = ImageScore(
            name=name,
            psnr=float(ours[0]),
            bicubic_psnr=float(theirs[0]),
            ssim=float(ours[1]),
            bicubic_ssim=float(theirs[1]),
            blur=blur(preds, border=self.scale)[0],
            bicubic_blur=blur(bicubic, border=self.scale)[0],
            target_blur=blur(high, border=self.scale)[0],
        )
        alike, bicubic_alike = self.lpips(preds, high), self.lpips(bicubic, high)
        if alike is not None and bicubic_alike is not None:
            row |= {"lpips": alike, "bicubic_lpips": bicubic_alike}
        return row

    def _scores(self, preds: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        border = self.scale
        return psnr(preds, high, border=border, color=self.color), ssim(preds, high, border=border)

    def _losses(self, preds: Tensor, high: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.loss(preds, high)
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}


def mean_scores(table: Sequence[Mapping[str, object]]) -> dict[str, float]:
    """Averages each figure of a table over the images that have it.

    >>> row = {"name": "a", "psnr": 30.0}
    >>> mean_scores([row, {"name": "b", "psnr": 32.0, "lpips": 0.25}])
    {'psnr': 31.0, 'lpips': 0.25}
    """
    columns: dict[str, list[float]] = {}
    for row in table:
        for name, figure in row.items():
            if isinstance(figure, float):
                columns.setdefault(name, []).append(figure)
    return {name: sum(column) / len(column) for name, column in columns.items()}
