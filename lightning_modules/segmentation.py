"""Segmentation: batches of images and masks to losses, scores and probabilities."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from datamodules.batches import NativeSegmentBatch, SegmentBatch, SegmentOutput
from lightning_modules.base import with_total
from lightning_modules.calibration import CalibrationError
from lightning_modules.class_weights import ClassWeights, check_class_weights, resolve_class_weights
from lightning_modules.segmentation_inference import SegmentationInference
from lightning_modules.segmentation_metrics import (
    ImageScore,
    SegmentScores,
    accuracy,
    count,
    image_dice,
    score_table,
)
from lightning_modules.typed_trainer import typed
from models.gather import gather_rows
from models.losses.mask_target import hard_target
from models.losses.segmentation import LossOptions, binary_losses, class_losses
from models.segmentation.blocks import resize_probs
from models.segmentation.tiles import Tiles, log_odds, thin_out, unit_floats


class SegmentationModule(SegmentationInference):
    """Trains ``net`` to segment one class, or to assign each pixel one of several classes.

    The loss is a weighted sum of cross-entropy, Dice, Tversky and Lovasz losses. Targets are the foreground fraction of
    each pixel for one class, and class numbers for several. Pixels of the value 255 count in no loss and no score.
    Scores: Dice as mean over images (as Kaggle's Carvana), IoU from pooled pixel counts, accuracy.

    Images that are much larger than those of the training are processed in overlapping tiles, in validation, test and
    prediction. Scores are counted strip by strip; the validation loss is then the mean of the strips' losses.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``, ``C = len(classes)``; it has
            ``layer_groups()``.
        classes: names of the classes; a single name is that class against background.
        cross_entropy_weight: weight of the cross-entropy. Parts of weight 0 are left out, and the others added.
        dice_weight: weight of the soft Dice loss.
        tversky_weight: weight of the Tversky loss, a Dice loss whose two kinds of errors have weights of their own.
        lovasz_weight: weight of the Lovasz loss, a convex surrogate of the IoU.
        edge_weight: extra weight of pixels near the outline in the cross-entropy of one class; 0 weights all equally.
        focal_gamma: focusing exponent that turns the cross-entropy into the focal loss, often 2; 0 is cross-entropy.
        tversky_alpha: weight of false positives in the Tversky loss.
        tversky_beta: weight of false negatives in the Tversky loss.
        class_weights: weights of the classes in the cross-entropy: ``"none"``; ``"auto"``, the median frequency over
            the training masks divided by that of the class (Eigen and Fergus 2015); or a weight by class name.
        class_weight_power: exponent of the weights of ``"auto"``; below 1 they differ less, for example 0.5.
        options: of ``SegmentationInference`` and ``ImageTask``.

    Raises:
        ValueError: if there is no class, or an argument is out of range.
    """

    test_table: list[ImageScore]

    def __init__(
        self,
        *,
        net: nn.Module,
        classes: tuple[str, ...] = ("car",),
        cross_entropy_weight: float = 1.0,
        dice_weight: float = 0.0,
        tversky_weight: float = 0.0,
        lovasz_weight: float = 0.0,
        edge_weight: float = 0.0,
        focal_gamma: float = 0.0,
        tversky_alpha: float = 0.3,
        tversky_beta: float = 0.7,
        class_weights: Literal["none", "auto"] | dict[str, float] = "none",
        class_weight_power: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(net=net, classes=classes, **options)
        self.loss_options = LossOptions(
            cross_entropy_weight=cross_entropy_weight,
            dice_weight=dice_weight,
            tversky_weight=tversky_weight,
            lovasz_weight=lovasz_weight,
            edge_weight=edge_weight,
            focal_gamma=focal_gamma,
            tversky_alpha=tversky_alpha,
            tversky_beta=tversky_beta,
        )
        if edge_weight and len(classes) > 1:
            raise ValueError(f"edge_weight is for one class, and classes names {len(classes)}: set it to 0")
        check_class_weights(class_weights, classes)
        if class_weight_power < 0:
            raise ValueError(f"class_weight_power must be 0 or more, not {class_weight_power}")
        self.class_weights: ClassWeights = class_weights
        self.class_weight_power = class_weight_power
        # Not a buffer: it follows from the settings and the data, and is neither saved nor averaged over steps.
        self._weights = torch.ones(len(classes))
        self.val_scores = SegmentScores(classes=self.classes)
        self.test_scores = SegmentScores(classes=self.classes)
        self.test_calibration = CalibrationError(one_class=self._one)
        self._test_counts: list[tuple[list[str], Tensor]] = []  # names and pixel counts, on the device

    def setup(self, stage: str) -> None:
        """Sets the weights of the classes, which the data module may have to measure.

        Raises:
            ValueError: if it cannot.
        """
        if stage != "predict" and self.class_weights != "none":
            weights = resolve_class_weights(
                self.class_weights,
                self.classes,
                power=self.class_weight_power,
                data=typed(self.trainer).datamodule,
            )
            self.set_class_weights(weights)
            if stage == "fit":
                named = ", ".join(f"{name} {weight:.3g}" for name, weight in zip(self.classes, weights, strict=True))
                rank_zero_info(f"class weights in the cross-entropy: {named}")

    def set_class_weights(self, weights: Sequence[float]) -> None:
        """Sets the weight of each class in the cross-entropy."""
        self._weights = torch.tensor(weights, dtype=torch.float32)

    def losses(self, batch: SegmentBatch) -> dict[str, Tensor]:
        """Returns the losses of a batch by name and their sum under ``"loss"``."""
        return self._losses(self.net(batch["image"]), batch["mask"])

    def on_validation_epoch_start(self) -> None:
        """Resets the metrics, also after an interrupted validation."""
        self.val_scores.reset()

    def validation_step(self, batch: SegmentBatch) -> SegmentOutput | None:
        """Scores a batch at the stage's size; returns ``None`` for an empty batch."""
        if not batch["name"]:
            return None
        if (tiles := self._tiles(batch["image"])) is not None:
            return self._validate_tiles(batch, tiles)
        logits, mask = self.net(unit_floats(batch["image"])), batch["mask"]
        loss = self._losses(logits, mask)["loss"]
        probs = self.probabilities(logits)
        counts = self._count(probs, mask)
        self.val_scores.update(counts, loss)
        return {"loss": loss, "probs": probs, "score": self._score(counts)}

    def _validate_tiles(self, batch: SegmentBatch, tiles: Tiles) -> SegmentOutput:
        """Scores an image strip by strip, and returns its probabilities at a reduced size, for figures."""
        mask, height = batch["mask"], batch["mask"].shape[1]
        counts, losses, small = [], [], []
        for rows, probs in self._strips(batch["image"], tiles, flip=False):
            counts.append(self._count(probs, mask[:, rows]))
            losses.append(self._losses(log_odds(probs), mask[:, rows])["loss"] * (rows.stop - rows.start) / height)
            small.append(thin_out(probs, rows, longest=max(mask.shape[1:])))
        total, loss = torch.stack(counts).sum(0), torch.stack(losses).sum()
        self.val_scores.update(total, loss)
        return {"loss": loss, "probs": torch.cat(small, dim=2), "score": self._score(total)}

    def _count(self, probs: Tensor, mask: Tensor) -> Tensor:
        classes = len(self.classes)
        return count(self.decide(probs), hard_target(mask, classes=classes), classes=classes)

    def _score(self, counts: Tensor) -> Tensor:
        return image_dice(counts, classes=1) if self._one else accuracy(counts)

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the validation set; all ranks take part, also those without images."""
        self.log_scores(_defined(self.val_scores.compute(), "val"), prog_bar="val/dice")

    def on_test_epoch_start(self) -> None:
        """Resets metrics and table."""
        self.test_scores.reset()
        self.test_calibration.reset()
        self._test_counts = []

    def test_step(self, batch: NativeSegmentBatch) -> None:
        """Scores images at their own size, to which the probabilities are resized before the decision."""
        if not batch["name"]:
            return
        counts = self._count_native(batch["image"], batch["mask"])
        self.test_scores.update(counts)
        self._test_counts.append((batch["name"], counts))

    def _count_native(self, images: Tensor, masks: list[Tensor]) -> Tensor:
        classes, tiles = len(self.classes), self._tiles(images)
        if tiles is not None and images.shape[2:] == masks[0].shape:
            counts = []
            for rows, probs in self._strips(images, tiles, flip=self.flip):
                counts.append(count(self.decide(probs), masks[0][None, rows], classes=classes))
                self.test_calibration.update(probs[0], masks[0][rows])
            return torch.stack(counts).sum(0)
        tables = []
        for probs, mask in zip(self(images), masks, strict=True):
            resized = resize_probs(probs[None], (mask.shape[0], mask.shape[1]))
            self.test_calibration.update(resized[0], mask)
            tables.append(count(self.decide(resized), mask[None], classes=classes))
        return torch.cat(tables)

    def on_test_epoch_end(self) -> None:
        """Logs the scores of the test set and completes ``test_table`` on all ranks."""
        scores = self.test_scores.compute() | {"calibration_error": self.test_calibration.compute()}
        self.log_scores(_defined(scores, "test"))
        rows = [row for names, counts in self._test_counts for row in score_table(names, counts, self.classes)]
        self.test_table = sorted(gather_rows(rows), key=lambda row: (row["dice"], row["name"]))
        self._test_counts = []

    def _losses(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if self._one:
            losses = binary_losses(logits, mask, self.loss_options)
        else:
            weights = None if self.class_weights == "none" else self._weights.to(logits.device)
            losses = class_losses(logits, mask, self.loss_options, class_weights=weights)
        return with_total(losses)


def _defined(scores: dict[str, Tensor], split: str) -> dict[str, Tensor]:
    """Adds the split to the names and drops NaN: the IoU of a class that never occurs, the loss of a test."""
    return {f"{split}/{name}": score for name, score in scores.items() if name == "dice" or not score.isnan()}
