"""Segmentation: batches of images and masks to losses, scores and probabilities."""

import torch
from torch import Tensor, nn

from datamodules.batches import NativeSegmentBatch, SegmentBatch, SegmentOutput
from lightning_modules.base import ImageTask
from lightning_modules.segmentation_metrics import (
    ImageScore,
    SegmentScores,
    accuracy,
    count,
    image_dice,
    score_table,
)
from models.gather import gather_rows
from models.losses.segmentation import binary_losses, class_losses
from models.segmentation.blocks import resize_probs


class SegmentationModule(ImageTask):
    """Trains ``net`` to find the pixels of one class, or to tell several classes apart.

    One class: binary cross-entropy on the share of foreground that a pixel holds, plus, if wanted, a soft Dice
    loss. Several: cross-entropy that leaves out pixels of value 255, plus, if wanted, soft Dice over the classes.
    Scores: Dice as the mean over images (Kaggle's), IoU from pooled pixels, accuracy.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``, ``C = len(classes)``; it has
            ``layer_groups()``.
        classes: names of the classes; one name means that class against background.
        dice_weight: weight of the soft Dice loss beside the cross-entropy; 0 leaves it out.
        edge_weight: extra weight of pixels near the outline in the cross-entropy of one class; 0 treats all alike.
        threshold: probability from which a pixel counts as the one class; several classes take the likeliest.
        flip: whether ``test`` and ``predict`` average the image's and its mirror image's probabilities.
        weight_decay: see ``ImageTask``.
        momentum: see ``ImageTask``.
        channels_last: see ``ImageTask``.

    Raises:
        ValueError: if there is no class, or a setting is out of its range.
    """

    test_table: list[ImageScore]

    def __init__(
        self,
        *,
        net: nn.Module,
        classes: tuple[str, ...] = ("car",),
        dice_weight: float = 0.0,
        edge_weight: float = 0.0,
        threshold: float = 0.5,
        flip: bool = False,
        weight_decay: float = 1e-7,
        momentum: float | tuple[float, float] = 0.9,
        channels_last: bool = False,
    ) -> None:
        super().__init__(net=net, weight_decay=weight_decay, momentum=momentum, channels_last=channels_last)
        if not classes:
            raise ValueError("classes is empty: name at least one class, for example ('car',)")
        for key, weight in (("dice_weight", dice_weight), ("edge_weight", edge_weight)):
            if weight < 0:
                raise ValueError(f"{key} must be 0 or more, not {weight}")
        if edge_weight and len(classes) > 1:
            raise ValueError(f"edge_weight is for one class, and classes names {len(classes)}: set it to 0")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
        self.classes = tuple(classes)
        self.dice_weight, self.edge_weight = dice_weight, edge_weight
        self.threshold, self.flip = threshold, flip
        self.val_scores = SegmentScores(classes=self.classes)
        self.test_scores = SegmentScores(classes=self.classes)
        self._tested: list[tuple[list[str], Tensor]] = []  # names and counts, kept on the device

    def forward(self, image: Tensor) -> Tensor:
        """Finds the classes in images.

        Args:
            image: ``(N, 3, H, W)`` float32, RGB in [0, 1].

        Returns:
            float32 probabilities ``(N, C, H, W)``, averaged over the mirror image if ``flip`` is set.
        """
        probs = self.probabilities(self.net(image))
        if self.flip:
            probs = (probs + self.probabilities(self.net(image.flip(-1))).flip(-1)) / 2
        return probs

    def probabilities(self, logits: Tensor) -> Tensor:
        """Turns logits ``(N, C, H, W)`` of any precision into float32 probabilities."""
        return logits.float().sigmoid() if self._one else logits.float().softmax(dim=1)

    def decide(self, probs: Tensor) -> Tensor:
        """Turns probabilities ``(N, C, H, W)`` into class numbers ``(N, H, W)``; bools for one class."""
        return probs[:, 0] >= self.threshold if self._one else probs.argmax(dim=1)

    def losses(self, batch: SegmentBatch) -> dict[str, Tensor]:
        """Losses of a batch by name, with their sum under ``"loss"``."""
        return self._losses(self.net(batch["image"]), batch["mask"])

    def on_validation_epoch_start(self) -> None:
        """Forgets a validation that was cut short."""
        self.val_scores.reset()

    def validation_step(self, batch: SegmentBatch) -> SegmentOutput | None:
        """Judges a batch at the stage's size."""
        if not batch["name"]:
            return None
        logits, mask = self.net(batch["image"]), batch["mask"]
        loss = self._losses(logits, mask)["loss"]
        probs = self.probabilities(logits)
        truth = mask >= 0.5 if self._one else mask
        counts = count(self.decide(probs), truth, classes=len(self.classes))
        self.val_scores.update(counts, loss)
        score = image_dice(counts, classes=1) if self._one else accuracy(counts)
        return {"loss": loss, "probs": probs, "score": score}

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the whole set; every process takes part, whether or not it had images."""
        scores = {f"val/{name}": score for name, score in self.val_scores.compute().items()}
        self.log("val/dice", scores.pop("val/dice"), prog_bar=True, batch_size=1, sync_dist=True)
        self._log_known(scores)

    def on_test_epoch_start(self) -> None:
        """Begins a new table."""
        self.test_scores.reset()
        self._tested = []

    def test_step(self, batch: NativeSegmentBatch) -> None:
        """Judges images at their own size: probabilities are resized to it, bilinear, and then decided."""
        if not batch["name"]:
            return
        tables = []
        for probs, mask in zip(self(batch["image"]), batch["mask"], strict=True):
            preds = self.decide(resize_probs(probs[None], (mask.shape[0], mask.shape[1])))
            tables.append(count(preds, mask[None], classes=len(self.classes)))
        counts = torch.cat(tables)
        self.test_scores.update(counts)
        self._tested.append((batch["name"], counts))

    def on_test_epoch_end(self) -> None:
        """Logs the scores of the whole set and makes ``test_table``, the worst image first, on every process."""
        scores = {f"test/{name}": score for name, score in self.test_scores.compute().items() if name != "loss"}
        self._log_known(scores)
        rows = [row for names, counts in self._tested for row in score_table(names, counts, self.classes)]
        self.test_table = sorted(gather_rows(rows), key=lambda row: (row["dice"], row["name"]))
        self._tested = []

    def predict_step(self, batch: SegmentBatch) -> Tensor:
        """Gives float32 probabilities ``(N, C, H, W)`` at the size of the batch."""
        probs: Tensor = self(batch["image"])
        return probs

    @property
    def _one(self) -> bool:
        return len(self.classes) == 1

    def _losses(self, logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
        if self._one:
            losses = binary_losses(logits, mask, dice=self.dice_weight, edge=self.edge_weight)
        else:
            losses = class_losses(logits, mask, dice=self.dice_weight)
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}

    def _log_known(self, scores: dict[str, Tensor]) -> None:
        """Logs what is a number: a class that never occurs has no IoU."""
        known = {name: score for name, score in scores.items() if not score.isnan()}
        # All processes hold the same value already; saying so keeps Lightning from warning about it.
        self.log_dict(known, batch_size=1, sync_dist=True)
