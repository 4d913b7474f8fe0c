"""Inference of segmentation: images to probabilities and classes, in tiles if the images are large."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from datamodules.batches import PredictBatch
from datamodules.stage import Stage
from lightning_modules.base import ImageTask
from models.segmentation.probabilities import segment, segment_tiled, to_probabilities
from models.segmentation.tiles import STRIDE, Tiles, choose_tiles
from models.tiled_inference import tiled_strips


class SegmentationInference(ImageTask):
    """Maps images to the probabilities of one class, or of several that exclude each other.

    Images that are much larger than those of the training are processed in overlapping tiles.

    Args:
        net: maps images ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``, ``C = len(classes)``; it has
            ``layer_groups()``.
        classes: names of the classes; a single name is that class against background.
        threshold: probability from which a pixel belongs to the single class; several classes take the argmax.
        flip: average the probabilities of image and mirrored image in ``test`` and ``predict``.
        tile: side of the tiles in which larger images are processed, a multiple of 32; ``"none"`` never divides an
            image; ``"auto"`` divides an image with a side of more than four times the training size into tiles of
            twice that size.
        options: of ``ImageTask``.

    Attributes:
        predict_classes: whether ``predict_step`` returns class numbers of divided images, which need less memory.

    Raises:
        ValueError: if there is no class, or an argument is out of range.
    """

    def __init__(
        self,
        *,
        net: nn.Module,
        classes: tuple[str, ...] = ("car",),
        threshold: float = 0.5,
        flip: bool = False,
        tile: int | Literal["auto", "none"] = "auto",
        **options: Any,
    ) -> None:
        super().__init__(net=net, **options)
        if not classes:
            raise ValueError("classes is empty: name at least one class, for example ('car',)")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, not {threshold}")
        if isinstance(tile, int) and (tile < 2 * STRIDE or tile % STRIDE):
            raise ValueError(f"tile must be a multiple of {STRIDE} from {2 * STRIDE} on, 'auto' or 'none', not {tile}")
        self.classes = tuple(classes)
        self.threshold, self.flip, self.tile = threshold, flip, tile
        self.predict_classes = False
        self._train_size: int | None = None

    def set_stage(self, stage: Stage) -> None:
        """Notes the size of the training images, to which large images are compared."""
        self._train_size = stage.train_size

    def forward(self, image: Tensor) -> Tensor:
        """Segments images, in tiles if they are large.

        Args:
            image: ``(N, 3, H, W)`` RGB: float in [0, 1], or uint8; N is 1 if the images are divided.

        Returns:
            float32 probabilities ``(N, C, H, W)``, averaged with the mirrored image if ``flip`` is set.
        """
        return segment_tiled(self.net, image, self._tiles(image), one_class=self._one, flip=self.flip)

    def _strips(self, image: Tensor, tiles: Tiles, *, flip: bool) -> Iterator[tuple[slice, Tensor]]:
        """Yields rows of a divided image and their probabilities."""
        top = 0

        def run(part: Tensor) -> Tensor:
            return segment(self.net, part, one_class=self._one, flip=flip)

        for probs in tiled_strips(run, image, **tiles._asdict()):
            yield slice(top, top + probs.shape[2]), probs
            top += probs.shape[2]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Converts logits ``(N, C, H, W)`` of any precision to float32 probabilities."""
        return to_probabilities(logits, one_class=self._one)

    def decide(self, probs: Tensor) -> Tensor:
        """Converts probabilities ``(N, C, H, W)`` to class numbers ``(N, H, W)``; booleans for one class."""
        return probs[:, 0] >= self.threshold if self._one else probs.argmax(dim=1)

    def predict_step(self, batch: PredictBatch) -> Tensor:
        """Returns float32 probabilities ``(N, C, H, W)`` at the size of the batch.

        With ``predict_classes``, an image that is divided into tiles and has its own size gives class numbers
        ``(1, 1, H, W)`` uint8 instead.
        """
        image, tiles = batch["image"], self._tiles(batch["image"])
        if tiles is not None and self.predict_classes and batch["size"][0] == tuple(image.shape[2:]):
            strips = self._strips(image, tiles, flip=self.flip)
            return torch.cat([self.decide(probs).to("cpu", torch.uint8) for _, probs in strips], dim=1)[:, None]
        probs: Tensor = self(image)
        return probs

    def _tiles(self, image: Tensor) -> Tiles | None:
        return choose_tiles(max(image.shape[2:]), tile=self.tile, train_size=self._train_size)

    @property
    def _one(self) -> bool:
        return len(self.classes) == 1
