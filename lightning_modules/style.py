"""Style: batches of images to losses, scores and repainted images."""

from typing import Any, Protocol, TypedDict, runtime_checkable

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from datamodules.batches import ImageBatch, StyleBatch, StyleOutput
from lightning_modules.base import ImageTask
from lightning_modules.typed_trainer import typed
from models.gather import gather_rows
from models.losses.style import StyleLoss
from models.style.tiled_instance_norm import shared_statistics
from models.tiled_inference import tiled_inference

#: Number of training images that the style loss is normalized with.
CALIBRATION_IMAGES = 16

#: White in whole numbers.
_TOPS = {torch.uint8: 255, torch.int32: 65535}


@runtime_checkable
class Painter(Protocol):
    """A net that says how far it sees and on which steps its tiles begin."""

    @property
    def reach(self) -> int:
        """Pixels around a pixel of the result that have a say in it."""
        ...

    @property
    def multiple(self) -> int:
        """Tiles that begin at multiples of so many pixels are worked on as the whole image is."""
        ...


@runtime_checkable
class StyleData(Protocol):
    """Data that bring a painting along."""

    def style(self) -> Tensor:
        """The painting, (3, h, w) float32 in [0, 1]."""
        ...

    def calibration_images(self, count: int) -> Tensor:
        """Images by which the parts of the loss are measured, (N, 3, S, S) float32 in [0, 1]."""
        ...


class StyleScore(TypedDict):
    """One line of the per-image table of a test."""

    name: str  # relative to the data's root
    loss: float  # combined, of the repainted image
    untouched: float  # combined, of the image as it is
    relative: float  # the first divided by the second


class StyleModule(ImageTask):
    """Trains ``net`` to repaint images in the manner of one painting, which the data module brings along.

    Scores: means over images of the loss and its parts, and ``val/relative``: the loss of the repainted
    images divided by that of the untouched ones, whose content is right and whose style is not.

    Large images go through the net in tiles (``models/tiled_inference.py``). With batch norm, tiles that overlap by
    what the
    net sees agree with the whole image. Instance norm would bring every tile to its own contrast, a flat sky as
    well as a crowd; so it is given one for all, that of the image made as small as a tile (``shared_statistics``).

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to the same shape and range; it has ``layer_groups()``, and says
            its ``reach`` and ``multiple``.
        loss: compares repainted images with images and painting.
        tile: side of a tile in pixels; 1024 take about 1 GB with the default net.
        weight_decay: see ``ImageTask``.
        momentum: see ``ImageTask``.
        channels_last: see ``ImageTask``.

    Raises:
        TypeError: if ``net`` does not say how its tiles have to be.
        ValueError: if ``tile`` is too small for what the net sees.
    """

    test_table: list[StyleScore]

    def __init__(
        self,
        *,
        net: nn.Module,
        loss: StyleLoss,
        tile: int = 1024,
        weight_decay: float = 1e-7,
        momentum: float | tuple[float, float] = 0.9,
        channels_last: bool = False,
    ) -> None:
        super().__init__(net=net, weight_decay=weight_decay, momentum=momentum, channels_last=channels_last)
        if not isinstance(net, Painter):
            raise TypeError(f"{type(net).__name__} needs reach and multiple, which say how its tiles have to be")
        # Three eighths of the overlap are left out on each side.
        self._multiple, self._reach = net.multiple, net.reach
        self._overlap = -(-self._reach * 8 // (3 * self._multiple)) * self._multiple
        self.loss, self.tile = loss, tile
        self.val_loss, self.val_untouched = MeanMetric(), MeanMetric()
        self.val_parts = nn.ModuleDict({name: MeanMetric() for name in loss.part_names})
        self.test_loss, self.test_untouched = MeanMetric(), MeanMetric()

    @property
    def tile(self) -> int:
        """Side of the tiles that large images go through in, in pixels."""
        return self._tile

    @tile.setter
    def tile(self, side: int) -> None:
        if side < 2 * self._overlap:
            raise ValueError(
                f"tile={side} is too small for a net that sees {self._reach} px around each pixel: at least "
                f"{2 * self._overlap}"
            )
        self._tile = side - side % self._multiple

    @property
    def weights_origin(self) -> str:
        """Where the weights in use came from, in words."""
        return f"random weights; features of the loss: {self.loss.weights_origin}"

    def setup(self, stage: str) -> None:
        """Loads the feature network of the loss, and calibrates the loss unless a checkpoint or callback has done so.

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
            raise TypeError(f"{type(data).__name__} needs style() and calibration_images(count) to train style with")
        self.loss.set_style(data.style())
        self.loss.calibrate(data.calibration_images(count))

    def forward(self, image: Tensor) -> Tensor:
        """Repaints an image of any size, in tiles where it is large.

        Args:
            image: ``(1, 3, H, W)`` RGB: float in [0, 1], uint8, or int32 from 0 to 65535. Whole numbers become floats
                tile by tile, so that a large image is never in memory as such.

        Returns:
            float32 ``(1, 3, H, W)`` in [0, 1].
        """
        top = _TOPS.get(image.dtype, 1)

        def run(tile: Tensor) -> Tensor:
            made: Tensor = self.net(tile.float() / top)
            return made

        if max(image.shape[2:]) <= self.tile:
            return run(image).float()
        with shared_statistics(self.net, run, image, side=self.tile):
            return tiled_inference(run, image, scale=1, tile=self.tile, overlap=self._overlap, multiple=self._multiple)

    def losses(self, batch: StyleBatch) -> dict[str, Tensor]:
        """Losses of a batch by name, with their sum under ``"loss"``."""
        losses: dict[str, Tensor] = self.loss(self.net(batch["content"]), batch["content"])
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}

    def on_validation_epoch_start(self) -> None:
        """Forgets a validation that was cut short."""
        for metric in self._val_metrics().values():
            metric.reset()

    def validation_step(self, batch: StyleBatch) -> StyleOutput | None:
        """Judges a batch of patches; a process may get an empty one, where there are more processes than images."""
        if not batch["name"]:
            return None
        content = batch["content"]
        preds: Tensor = self.net(content)
        parts = self.loss.parts_per_image(preds, content)
        score = _sum(parts)
        metrics = self._val_metrics()
        metrics["loss"].update(score)
        metrics["untouched"].update(self.loss.per_image(content, content))
        for name, part in parts.items():
            metrics[f"loss/{name}"].update(part)
        return {"loss": score.mean(), "preds": preds, "score": score}

    def on_validation_epoch_end(self) -> None:
        """Logs the means of the whole set; every process takes part, whether or not it had images."""
        means = {f"val/{name}": metric.compute() for name, metric in self._val_metrics().items()}
        # All processes hold the same values already; saying so keeps Lightning from warning about it.
        relative = means["val/loss"] / means.pop("val/untouched")
        self.log("val/relative", relative, prog_bar=True, batch_size=1, sync_dist=True)
        self.log_dict(means, batch_size=1, sync_dist=True)

    def on_test_epoch_start(self) -> None:
        """Begins a new table."""
        self.test_loss.reset()
        self.test_untouched.reset()
        self.test_table = []

    def test_step(self, batch: StyleBatch) -> None:
        """Judges images, each beside the untouched image."""
        if not batch["name"]:
            return
        content = batch["content"]
        ours, theirs = self.loss.per_image(self.net(content), content), self.loss.per_image(content, content)
        self.test_loss.update(ours)
        self.test_untouched.update(theirs)
        columns = (ours.tolist(), theirs.tolist(), (ours / theirs).tolist())
        for name, loss, untouched, relative in zip(batch["name"], *columns, strict=True):
            self.test_table.append({"name": name, "loss": loss, "untouched": untouched, "relative": relative})

    def on_test_epoch_end(self) -> None:
        """Logs the means of the whole set and completes ``test_table``, the worst image first, on every process."""
        ours, theirs = self.test_loss.compute(), self.test_untouched.compute()
        scores = {"test/loss": ours, "test/untouched": theirs, "test/relative": ours / theirs}
        self.log_dict(scores, batch_size=1, sync_dist=True)
        self.test_table = sorted(gather_rows(self.test_table), key=lambda row: (-row["relative"], row["name"]))

    def predict_step(self, batch: ImageBatch) -> Tensor:
        """Gives the repainted image ``(1, 3, H, W)`` as it is saved: uint8, or uint16 for 16 bits."""
        image = batch["image"]
        deep = image.dtype == torch.int32
        made: Tensor = self(image).mul_(_TOPS[image.dtype]).round_()  # in place: it can be a quarter of a gigabyte
        return made.to(torch.uint16 if deep else torch.uint8)

    def _val_metrics(self) -> dict[str, MeanMetric]:
        parts: dict[str, Any] = {f"loss/{name}": metric for name, metric in self.val_parts.items()}
        return {"loss": self.val_loss, "untouched": self.val_untouched, **parts}


def _sum(parts: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(parts.values())).sum(0)
