"""Style transfer: batches of images to losses, scores and stylized images."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict, runtime_checkable

from torch import Tensor, nn
from torchmetrics import MeanMetric

from datamodules.batches import StyleBatch, StyleOutput
from lightning_modules.base import with_total
from lightning_modules.tiled import TiledTask
from lightning_modules.typed_trainer import typed
from models.gather import gather_rows
from models.losses.style import StyleLoss, total_of
from models.style.multi_style_resnet import MultiStyleResnet, fix_style
from models.tiled_network import Tiling, style_tiling

#: Number of training images that the style loss is normalized with.
CALIBRATION_IMAGES = 16


@runtime_checkable
class TileableNet(Protocol):
    """A net that states its receptive field and the grid of its strided layers."""

    @property
    def reach(self) -> int:
        """Radius of the receptive field in pixels of the image."""
        ...

    @property
    def multiple(self) -> int:
        """Tiles that start at multiples of this number give the same result as the whole image."""
        ...


@runtime_checkable
class StyleData(Protocol):
    """A data module with style images."""

    def styles(self) -> list[Tensor]:
        """The style images, (3, h, w) float32 in [0, 1] each."""
        ...

    def calibration_images(self, count: int) -> Tensor:
        """Images by which the units of the loss are measured, (N, 3, S, S) float32 in [0, 1]."""
        ...


class StyleScore(TypedDict):
    """One row of the test table."""

    name: str  # relative to the data's root
    loss: float  # total, of the stylized image
    untouched: float  # total, of the image itself
    relative: float  # loss / untouched


class StyleModule(TiledTask):
    """Trains ``net`` to render images in the style of one image, or of one of several, which the data module provides.

    Scores are means over images: the loss, its parts, and ``val/relative``, the loss of the stylized images divided by
    that of the untouched ones (whose content part is 0).

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to the same shape and range; it has ``layer_groups()``, ``reach``
            and ``multiple``.
        loss: compares the result with the image (content) and with the style image.
        tile: side in pixels of the tiles that large images are divided into; 1024 take about 1 GB with the default
            net.
        styles: names of the styles, in the order of the data module's.
        options: of ``ImageTask``.

    Raises:
        TypeError: if ``net`` has no ``reach`` and ``multiple``.
        ValueError: if ``tile`` is too small for the receptive field, or a net of one style is given several.
    """

    test_table: list[StyleScore]
    training_only = ("loss.",)

    def __init__(
        self, *, net: nn.Module, loss: StyleLoss, tile: int = 1024, styles: Sequence[str] = (), **options: Any
    ) -> None:
        if len(styles) > 1 and not isinstance(net, MultiStyleResnet):
            raise ValueError(
                f"{type(net).__name__} learns one style, not {len(styles)}: name one style image, or set "
                "--model.net models.MultiStyleResnet"
            )
        super().__init__(net=net, **options)
        if not isinstance(net, TileableNet):
            raise TypeError(f"{type(net).__name__} needs reach and multiple, by which its tiles are chosen")
        self.styles = tuple(styles)
        self._multiple, self._reach = net.multiple, net.reach
        self.loss, self.tile = loss, tile
        self.val_loss, self.val_untouched = MeanMetric(), MeanMetric()
        self.val_parts = nn.ModuleDict({name: MeanMetric() for name in loss.part_names})
        self.test_loss, self.test_untouched = MeanMetric(), MeanMetric()

    @property
    def tile(self) -> int:
        """Side in pixels of the tiles that large images are divided into."""
        return self._tiling.tile

    @tile.setter
    def tile(self, side: int) -> None:
        self._tiling = style_tiling(tile=side, reach=self._reach, multiple=self._multiple)

    @property
    def tiling(self) -> Tiling:
        """Tiles whose overlap covers the receptive field."""
        return self._tiling

    @property
    def weights_origin(self) -> str:
        """Where the weights of the net and of the loss came from, for reports."""
        return f"random weights; features of the loss: {self.loss.weights_origin}"

    def setup(self, stage: str) -> None:
        """Loads the VGG of the loss, and calibrates the loss unless a checkpoint or callback has done so.

        Raises:
            TypeError: if the data module has no style image.
        """
        if stage == "predict":
            return
        self.loss.load()
        if not self.loss.has_style or (self.loss.balance and not self.loss.calibrated):
            self.calibrate(typed(self.trainer).datamodule)

    def calibrate(self, data: object, *, count: int = CALIBRATION_IMAGES) -> None:
        """Sets the style target and the normalization of the loss, whose feature network is loaded.

        Args:
            data: a data module with a style image, see ``StyleData``.
            count: number of training images to measure.

        Raises:
            TypeError: if ``data`` has no style image.
        """
        if not isinstance(data, StyleData):
            raise TypeError(f"{type(data).__name__} needs styles() and calibration_images(count) to train style with")
        self.loss.set_styles(data.styles())
        self.loss.calibrate(data.calibration_images(count))

    def losses(self, batch: StyleBatch) -> dict[str, Tensor]:
        """Returns the parts of the loss of a batch and their sum under ``"loss"``."""
        return with_total(self.loss(self.stylize(batch), batch["content"], batch["style"]))

    def stylize(self, batch: StyleBatch) -> Tensor:
        """Renders each image of a batch in its style."""
        many = self.many_styles
        preds: Tensor = self.net(batch["content"]) if many is None else many(batch["content"], batch["style"])
        return preds

    @property
    def many_styles(self) -> MultiStyleResnet | None:
        """The network if it is one of many styles."""
        net: Any = self.net  # narrowed to a protocol by the checks of __init__
        return net if isinstance(net, MultiStyleResnet) else None

    def fix_style(self, blend: Mapping[str, float]) -> None:
        """Keeps one style, or a blend of several; see ``fix_style`` of ``models/style/multi_style_resnet.py``."""
        self.net, self.styles = fix_style(self.net, blend)

    def on_validation_epoch_start(self) -> None:
        """Resets the metrics, also after an interrupted validation."""
        for metric in self._val_metrics().values():
            metric.reset()

    def validation_step(self, batch: StyleBatch) -> StyleOutput | None:
        """Scores a batch of patches; returns ``None`` for an empty batch."""
        if not batch["name"]:
            return None
        preds = self.stylize(batch)
        parts, untouched = self.loss.with_untouched(preds, batch["content"], batch["style"])
        score = total_of(parts)
        metrics = self._val_metrics()
        metrics["loss"].update(score)
        metrics["untouched"].update(untouched)
        for name, part in parts.items():
            metrics[f"loss/{name}"].update(part)
        return {"loss": score.mean(), "preds": preds, "score": score}

    def on_validation_epoch_end(self) -> None:
        """Logs the means over the validation set; all ranks take part, also those without images."""
        means = {f"val/{name}": metric.compute() for name, metric in self._val_metrics().items()}
        means["val/relative"] = means["val/loss"] / means.pop("val/untouched")
        self.log_scores(means, prog_bar="val/relative")

    def on_test_epoch_start(self) -> None:
        """Resets metrics and table."""
        self.test_loss.reset()
        self.test_untouched.reset()
        self.test_table = []

    def test_step(self, batch: StyleBatch) -> None:
        """Scores stylized and untouched images."""
        if not batch["name"]:
            return
        parts, untouched = self.loss.with_untouched(self.stylize(batch), batch["content"], batch["style"])
        stylized = total_of(parts)
        self.test_loss.update(stylized)
        self.test_untouched.update(untouched)
        columns = (stylized.tolist(), untouched.tolist(), (stylized / untouched).tolist())
        for name, *scores in zip(batch["name"], *columns, strict=True):
            self.test_table.append(StyleScore(name=name, loss=scores[0], untouched=scores[1], relative=scores[2]))

    def on_test_epoch_end(self) -> None:
        """Logs the means over the test set and completes ``test_table`` on all ranks."""
        loss, untouched = self.test_loss.compute(), self.test_untouched.compute()
        scores = {"test/loss": loss, "test/untouched": untouched, "test/relative": loss / untouched}
        self.log_scores(scores)
        self.test_table = sorted(gather_rows(self.test_table), key=lambda row: (-row["relative"], row["name"]))

    def _val_metrics(self) -> dict[str, MeanMetric]:
        parts: dict[str, Any] = {f"loss/{name}": metric for name, metric in self.val_parts.items()}
        return {"loss": self.val_loss, "untouched": self.val_untouched, **parts}
