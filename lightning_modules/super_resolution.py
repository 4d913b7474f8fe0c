"""Super-resolution and restoration: batches of image pairs to losses, scores and images."""

from typing import Any, Literal, NotRequired, Protocol, TypedDict, runtime_checkable

from torch import Tensor, nn
from torchmetrics import MeanMetric

from datamodules.batches import NativePairBatch, PairBatch, PairOutput
from datamodules.stage import Stage
from lightning_modules.base import with_total
from lightning_modules.color_metrics import color_error, colorfulness
from lightning_modules.lpips import Lpips
from lightning_modules.super_resolution_metrics import SrScores, blur, mean_scores, psnr, ssim
from lightning_modules.tiled import TiledTask
from models.gather import gather_rows
from models.losses.perceptual import PerceptualLoss
from models.super_resolution.self_ensemble import self_ensemble
from models.super_resolution.sr_resnet import enlarge
from models.tiled_network import Tiling, restoration_tiling


@runtime_checkable
class ScalableNet(Protocol):
    """A net that enlarges images ``active_scale`` times."""

    active_scale: int


class ImageScore(TypedDict):
    """One row of the test table."""

    name: str  # relative to the data's root
    baseline: Literal["bicubic", "input"]  # what "bicubic" scores are of: at scale 1 of the input itself
    psnr: float  # dB
    bicubic_psnr: float
    ssim: float
    bicubic_ssim: float
    blur: float  # 0 sharp, 1 blurred; no reference
    bicubic_blur: float
    target_blur: float
    lpips: NotRequired[float]  # 0 equal; missing without weights or for small images
    bicubic_lpips: NotRequired[float]
    color_error: NotRequired[float]  # CIEDE2000, with --model.color true
    bicubic_color_error: NotRequired[float]
    colorfulness: NotRequired[float]
    target_colorfulness: NotRequired[float]


class SuperResolutionModule(TiledTask):
    """Trains ``net`` to restore an image from a smaller or degraded one.

    Scores: PSNR and SSIM as super-resolution papers compute them (luma, a border of ``scale`` pixels left out, means
    over images), each also for bicubic interpolation, which at scale 1 is the input itself. ``test`` adds blur and
    LPIPS (``lightning_modules/lpips.py``), which a perceptual loss improves at the cost of PSNR.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to images ``active_scale`` times larger; it has ``layer_groups()``.
        loss: maps predictions and targets to losses by name, whose sum is the loss (``models/losses/pixel.py``,
            ``models/losses/perceptual.py``).
        color: compute PSNR from RGB instead of luma, for colorization, where the luma is given; ``test`` adds the
            color error and the colorfulness (``lightning_modules/color_metrics.py``).
        lpips: ``"auto"`` measures LPIPS in ``test`` if AlexNet's weights are available, ``"none"`` never; the path of
            a file measures it with that VGG16 instead, in torchvision's names.
        ensemble: average ``test`` and ``predict`` over the 8 flips and rotations: better, and 8 times slower.
        options: of ``ImageTask``.

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
        lpips: str = "auto",
        ensemble: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(net=net, **options)
        if not isinstance(net, ScalableNet):
            raise TypeError(f"{type(net).__name__} needs an active_scale, the magnification it works at")
        self.loss, self.color, self.ensemble = loss, color, ensemble
        self.val_loss = MeanMetric()
        self.val_scores, self.val_bicubic = SrScores(), SrScores()
        self.lpips = Lpips(lpips)

    @property
    def scale(self) -> int:
        """Magnification the net works at."""
        net: Any = self.net  # checked in __init__
        return int(net.active_scale)

    @property
    def tiling(self) -> Tiling:
        """Tiles of the default size at the magnification in use; none if the net has to see the whole image."""
        return restoration_tiling(self.net, scale=self.scale)

    @property
    def weights_origin(self) -> str:
        """Where the weights of the net and of the loss came from, for reports."""
        features = (
            f"; features of the loss: {self.loss.weights_origin}" if isinstance(self.loss, PerceptualLoss) else ""
        )
        net = getattr(self.net, "weights_origin", "random weights, upsampling as nearest neighbor (ICNR)")
        return f"{net}{features}"

    def set_stage(self, stage: Stage) -> None:
        """Sets the magnification of ``stage``.

        Raises:
            ValueError: if the stage has no scale, or one that the net does not support.
        """
        if stage.scale is None:
            raise ValueError(f"stage '{stage.name}' names no scale: add scale: 2 (or 4, ...; 1 for restoration)")
        net: Any = self.net
        try:
            net.active_scale = stage.scale
        except ValueError as error:
            raise ValueError(f"stage '{stage.name}': {error}") from error

    def setup(self, stage: str) -> None:
        """Loads the VGG of a perceptual loss before training and validation."""
        if stage in ("fit", "validate") and isinstance(self.loss, PerceptualLoss):
            self.loss.load()

    def run_net(self, images: Tensor) -> Tensor:
        """Maps float images (N, 3, H, W) in [0, 1] to ``scale`` times larger ones, averaged if ``ensemble`` is set."""
        out: Tensor = self_ensemble(self.net, images) if self.ensemble else self.net(images)
        return out

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Returns the losses of a batch by name and their sum under ``"loss"``."""
        return with_total(self.loss(self.net(batch["low_res"]), batch["high_res"]))

    def on_validation_epoch_start(self) -> None:
        """Resets the metrics, also after an interrupted validation."""
        for metric in (self.val_loss, self.val_scores, self.val_bicubic):
            metric.reset()

    def validation_step(self, batch: PairBatch) -> PairOutput | None:
        """Scores a batch of patches; returns ``None`` for an empty batch."""
        if not batch["name"]:
            return None
        low_res, high_res = batch["low_res"], batch["high_res"]
        preds, bicubic = self.net(low_res).float(), enlarge(low_res, self.scale)
        loss = with_total(self.loss(preds, high_res))["loss"]
        net_scores, bicubic_scores = self._scores(preds, high_res), self._scores(bicubic, high_res)
        self.val_loss.update(loss, weight=len(low_res))
        self.val_scores.update(*net_scores)
        self.val_bicubic.update(*bicubic_scores)
        return {
            "loss": loss,
            "preds": preds,
            "score": net_scores[0],
            "ssim": net_scores[1],
            "bicubic": bicubic,
            "bicubic_psnr": bicubic_scores[0],
            "bicubic_ssim": bicubic_scores[1],
        }

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the validation set; all ranks take part, also those without images."""
        scores = {f"val/{name}": score for name, score in self.val_scores.compute().items()}
        scores |= {"val/loss": self.val_loss.compute()}
        scores |= {f"val/bicubic_{name}": score for name, score in self.val_bicubic.compute().items()}
        self.log_scores(scores, prog_bar="val/psnr")

    def on_test_epoch_start(self) -> None:
        """Loads LPIPS and resets the table."""
        self.lpips.load(self.device)
        self.test_table = []

    def test_step(self, batch: NativePairBatch) -> None:
        """Scores whole images one by one."""
        if not batch["name"]:
            return
        for low_res, high_res, name in zip(batch["low_res"], batch["high_res"], batch["name"], strict=True):
            self.test_table.append(self._score_image(low_res[None], high_res[None], name))

    def on_test_epoch_end(self) -> None:
        """Completes ``test_table`` and logs its means on all ranks."""
        self.test_table = sorted(gather_rows(self.test_table), key=lambda row: (row["psnr"], row["name"]))
        means = {f"test/{name}": mean for name, mean in mean_scores(self.test_table).items()}
        self.log_dict(means, batch_size=1, sync_dist=True)  # equal on all ranks; without sync_dist Lightning warns

    def _score_image(self, low_res: Tensor, high_res: Tensor, name: str) -> ImageScore:
        """Scores one image (1, 3, H, W)."""
        preds, bicubic = self(low_res), enlarge(low_res, self.scale).clamp(0, 1)
        net_scores, bicubic_scores = self._scores(preds, high_res), self._scores(bicubic, high_res)
        row = ImageScore(
            name=name,
            baseline="bicubic" if self.scale > 1 else "input",
            psnr=float(net_scores[0]),
            bicubic_psnr=float(bicubic_scores[0]),
            ssim=float(net_scores[1]),
            bicubic_ssim=float(bicubic_scores[1]),
            blur=blur(preds, border=self.scale)[0],
            bicubic_blur=blur(bicubic, border=self.scale)[0],
            target_blur=blur(high_res, border=self.scale)[0],
        )
        lpips, bicubic_lpips = self.lpips(preds, high_res), self.lpips(bicubic, high_res)
        if lpips is not None and bicubic_lpips is not None:
            row |= {"lpips": lpips, "bicubic_lpips": bicubic_lpips}
        if self.color:
            row |= {
                "color_error": color_error(preds, high_res)[0],
                "bicubic_color_error": color_error(bicubic, high_res)[0],
                "colorfulness": colorfulness(preds)[0],
                "target_colorfulness": colorfulness(high_res)[0],
            }
        return row

    def _scores(self, preds: Tensor, high_res: Tensor) -> tuple[Tensor, Tensor]:
        border = self.scale
        return psnr(preds, high_res, border=border, color=self.color), ssim(preds, high_res, border=border)
