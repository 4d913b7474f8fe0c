"""A stage of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, Protocol


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run: image size, batch size, learning rate, and which layers are frozen.

    ``callbacks/training/progressive_resizing.py`` runs a list of stages inside one fit.

    Args:
        name: shown in the progress bar, in TensorBoard and in messages.
        size: side of the network's square input in pixels; targets of super-resolution are ``scale`` times larger.
            With ``crop``, images keep their proportions, and ``size`` is the largest length of their shorter side.
        batch_size: images per optimizer step over *all* processes and accumulated batches.
        epochs: passes over the training data.
        lr: peak learning rate of the last layer group.
        lr_scale: factor on ``lr`` for each layer group, from the input to the output; ``None`` is 1 for all.
        frozen: number of layer groups, from the input, that are not trained; ``"encoder"`` is all but the last, and so
            is ``"body"``, the word for a network of many styles.
            Batch norm inside a frozen group also keeps its running statistics.
        frozen_bn: which batch norms keep their running statistics while their weights are trained: ``"all"``, as in
            the lesson after unfreezing, ``"encoder"`` (or true) for all but the last layer group, or false for none.
        augment: whether training images are augmented.
        shape: of the one-cycle schedule: ``"cosine"`` as in PyTorch, or ``"linear"`` as in fastai 0.7.
        div: the schedule starts at ``lr / div``.
        warmup: fraction of the steps of a cycle in which the learning rate rises (the lesson's ``1 / pct``).
        end_div: the schedule ends at ``lr / div / end_div``; the lesson's ``use_clr`` ends where it starts, at 1.
        tail: linear only: fraction of the steps at the end of a cycle in which the rate falls from ``lr / div`` to
            ``lr / div / end_div``; 0.1 in the lesson's ``use_clr_beta``.
        cycles: linear only: number of equal cycles in the stage, of which ``epochs`` is a multiple.
        patience: validated epochs without a better score after which the stage ends early; ``None`` never. The schedule
            is planned for all epochs, so the learning rate is then still high: for a last stage, rather lower
            ``epochs``.
        scale: magnification of this stage: 2, 4, ..., or 1 for restoration (super-resolution only).
        crop: side of the square that is cropped from a training image at a random place, in pixels; validation sees
            whole images. ``None`` trains on whole images, resized to squares (segmentation only).

    Raises:
        ValueError: if a value is out of its range; the message names stage and field.
    """

    name: str
    size: int
    batch_size: int
    epochs: int
    lr: float
    lr_scale: tuple[float, ...] | None = None
    frozen: int | Literal["encoder", "body"] = 0
    frozen_bn: bool | Literal["all", "encoder"] = False
    augment: bool = True
    shape: Literal["cosine", "linear"] = "cosine"
    div: float = 25.0
    warmup: float = 0.25
    end_div: float = 1e4
    tail: float = 0.0
    cycles: int = 1
    patience: int | None = None
    scale: int | None = None
    crop: int | None = None

    def __post_init__(self) -> None:
        """Checks every field."""
        for field in ("size", "batch_size", "epochs"):
            self._require(field, getattr(self, field) >= 1, "at least 1")
        self._require("lr", self.lr > 0, "above 0")
        self._require("lr_scale", self.lr_scale is None or min(self.lr_scale, default=0) > 0, "all above 0")
        named = self.frozen in ("encoder", "body")
        self._require("frozen", named or int(self.frozen) >= 0, "a number of layer groups, 'encoder' or 'body'")
        self._require("div", self.div >= 1, "at least 1")
        self._require("warmup", 0 < self.warmup < 1, "between 0 and 1")
        self._require("frozen_bn", self.frozen_bn in (True, False, "all", "encoder"), "true, false, 'all' or 'encoder'")
        linear = self.shape == "linear"
        self._require("shape", linear or self.shape == "cosine", "'cosine' or 'linear'")
        self._require("end_div", self.end_div > 0, "above 0")
        room = 1 - self.warmup
        self._require("tail", self.tail == 0 or (linear and 0 < self.tail < room), f"0, or below {room:g} if linear")
        divides = self.cycles >= 1 and self.epochs % self.cycles == 0
        self._require("cycles", self.cycles == 1 or (linear and divides), f"1, or a divisor of {self.epochs} if linear")
        self._require("patience", self.patience is None or self.patience >= 1, "at least 1")
        self._require("scale", self.scale is None or self.scale >= 1, "at least 1")
        self._require("crop", self.crop is None or self.crop >= 1, "at least 1")

    @property
    def train_size(self) -> int:
        """Side of the training images in pixels."""
        return self.size if self.crop is None else self.crop

    def _require(self, field: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ValueError(f"stage '{self.name}': {field} must be {expected}, not {getattr(self, field)!r}")


class StagedData(Protocol):
    """The methods of a data module that a run in stages calls."""

    def set_stage(self, stage: Stage) -> None:
        """Makes loaders that are built from now on follow ``stage``."""
        ...

    def steps_per_epoch(self, stage: Stage) -> int:
        """Number of optimizer steps of one epoch of ``stage``."""
        ...

    def dry_run_batch(self, stage: Stage) -> Any:
        """The first batch of ``stage``, loaded from the real data."""
        ...


def stage_ends(stages: Sequence[Stage]) -> list[int]:
    """Returns the number of epochs that are done at the end of each stage.

    >>> a = Stage(name="a", size=64, batch_size=8, epochs=2, lr=1e-3)
    >>> b = Stage(name="b", size=128, batch_size=4, epochs=3, lr=1e-3)
    >>> stage_ends([a, b])
    [2, 5]
    """
    return list(accumulate(stage.epochs for stage in stages))


def stage_index(stages: Sequence[Stage], epoch: int) -> int:
    """Returns the index of the stage that trains ``epoch`` (from 0); epochs after the last stage belong to it.

    >>> a = Stage(name="a", size=64, batch_size=8, epochs=2, lr=1e-3)
    >>> b = Stage(name="b", size=128, batch_size=4, epochs=3, lr=1e-3)
    >>> [stage_index([a, b], epoch) for epoch in (0, 1, 2, 4, 5)]
    [0, 0, 1, 1, 1]
    """
    return next((i for i, end in enumerate(stage_ends(stages)) if epoch < end), len(stages) - 1)
