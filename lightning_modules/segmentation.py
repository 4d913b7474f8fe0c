"""Segmentation: batches of images and masks to losses, scores and probabilities."""

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.batches import NativeSegmentBatch, SegmentBatch, SegmentOutput
from lightning_modules.base import ImageTask, with_total
from lightning_modules.calibration import CalibrationError
from lightning_modules.segmentation_metrics import (
    ImageScore,
    SegmentScores,
    accuracy,
    count,
    image_dice,
    score_table,
)
from models.gather import gather_rows
from models.losses.mask_target import hard_target
from models.losses.segmentation import LossOptions, binary_losses, class_losses
from models.segmentation.blocks import resize_probs


class SegmentationModule(ImageTask):
    """Trains ``net`` to segment one class, or to assign each pixel one of several classes.

    The loss is a weighted sum of cross-entropy, Dice, Tversky and Lovasz losses. Targets are the foreground fraction of
    each pixel for one class, and class numbers for several. Pixels of the value 255 count in no loss and no score.
    Scores: Dice as mean over images (as Kaggle's Carvana), IoU from pooled pixel counts, accuracy.

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
        threshold: probability from which a pixel belongs to the single class; several classes take the argmax.
        flip: average the probabilities of image and mirrored image in ``test`` and ``predict``.
        options: of ``ImageTask``.

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
        threshold: float = 0.5,
        flip: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(net=net, **options)
        if not classes:
            raise ValueError("classes is empty: name at least one class, for example ('car',)")
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
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
        self.classes = tuple(classes)
        self.threshold, self.flip = threshold, flip
        self.val_scores = SegmentScores(classes=self.classes)
        self.test_scores = SegmentScores(classes=self.classes)
        self.test_calibration = CalibrationError(one_class=self._one)
        self._test_counts: list[tuple[list[str], Tensor]] = []  # names and pixel counts, on the device

    def forward(self, image: Tensor) -> Tensor:
        """Segments images.

        Args:
            image: ``(N, 3, H, W)`` float32, RGB in [0, 1].

        Returns:
            float32 probabilities ``(N, C, H, W)``, averaged with the mirrored image if ``flip`` is set.
        """
        probs = self.probabilities(self.net(image))
        if self.flip:
            probs = (probs + self.probabilities(self.net(image.flip(-1))).flip(-1)) / 2
        return probs

    def probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits ``(N, C, H, W)`` of any precision to float32 probabilities."""
        return logits.float().sigmoid() if self._one else logits.float().softmax(dim=1)

    def decide(self, probs: Tensor) -> Tensor:
        """Converts probabilities ``(N, C, H, W)`` to class numbers ``(N, H, W)``; booleans for one class."""
        return probs[:, 0] >= self.threshold if self._one else probs.argmax(dim=1)

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
        logits, mask = self.net(batch["image"]), batch["mask"]
        loss = self._losses(logits, mask)["loss"]
        probs = self.probabilities(logits)
        counts = count(self.decide(probs), hard_target(mask, classes=len(self.classes)), classes=len(self.classes))
        self.val_scores.update(counts, loss)
        score = image_dice(counts, classes=1) if self._one else accuracy(counts)
        return {"loss": loss, "probs": probs, "score": score}

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
        tables = []
        for probs, mask in zip(self(batch["image"]), batch["mask"], strict=True):
            resized = resize_probs(probs[None], (mask.shape[0], mask.shape[1]))
            preds = self.decide(resized)
            self.test_calibration.update(resized[0], mask)
            tables.append(count(preds, mask[None], classes=len(self.classes)))
        counts = torch.cat(tables)
        self.test_scores.update(counts)
        self._test_counts.append((batch["name"], counts))

    def on_test_epoch_end(self) -> None:
        """Logs the scores of the test set and completes ``test_table`` on all ranks."""
        scores = self.test_scores.compute() | {"calibration_error": self.test_calibration.compute()}
        self.log_scores(_defined(scores, "test"))
        rows = [row for names, counts in self._test_counts for row in score_table(names, counts, self.classes)]
        self.test_table = sorted(gather_rows(rows), key=lambda row: (row["dice"], row["name"]))
        self._test_counts = []

    def predict_step(self, batch: SegmentBatch) -> Tensor:
        """Returns float32 probabilities ``(N, C, H, W)`` at the size of the batch."""
        probs: Tensor = self(batch["image"])
        return probs

    @property
    def _one(self) -> bool:
        return len(self.classes) == 1

    def _losses(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if self._one:
            losses = binary_losses(logits, mask, self.loss_options)
        else:
            losses = class_losses(logits, mask, self.loss_options)
        return with_total(losses)


def _defined(scores: dict[str, Tensor], split: str) -> dict[str, Tensor]:
    """Adds the split to the names and drops NaN: the IoU of a class that never occurs, the loss of a test."""
    return {f"{split}/{name}": score for name, score in scores.items() if name == "dice" or not score.isnan()}
