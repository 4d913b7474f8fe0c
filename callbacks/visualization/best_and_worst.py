"""Validation samples to draw: those that come first by some order, and the best and worst by score."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lightning import Callback, LightningModule, Trainer
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One validation sample with its output, on the CPU.

    Args:
        name: name of the image, relative to the data's root.
        score: score of the sample, as in the step's output.
        inputs: fields of the batch, without the batch dimension.
        outputs: fields of the step's output, without the batch dimension; fields without one are left out.
    """

    name: str
    score: float
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


#: What samples are sorted by: a number, then the name, so that all ranks sort equal numbers alike.
SortKey = tuple[float, str]


class FirstSamples:
    """Keeps the ``limit`` samples with the smallest sort keys.

    Args:
        limit: number of samples to keep, 0 or more.
        largest: keep those with the largest keys instead, the largest first.
    """

    def __init__(self, limit: int, *, largest: bool = False) -> None:
        self.limit, self.largest = limit, largest
        self._keys: list[SortKey] = []
        self._samples: list[Sample] = []

    def offer(self, number: float, batch: Mapping[str, Any], output: Mapping[str, Any], index: int) -> None:
        """Keeps sample ``index`` of a batch if it belongs to the first; only then it is copied to the CPU."""
        key = (number, batch["name"][index])
        place = len(self._keys) - bisect_left(self._keys[::-1], key) if self.largest else bisect_left(self._keys, key)
        if place >= self.limit:
            return
        self._keys.insert(place, key)
        self._samples.insert(place, _copy_sample(batch, output, index))
        del self._keys[self.limit :], self._samples[self.limit :]

    @property
    def by_key(self) -> dict[SortKey, Sample]:
        """The kept samples by their sort key, in order."""
        return dict(zip(self._keys, self._samples, strict=True))

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)


class BestAndWorst(Callback):
    """Keeps the best and the worst samples of a validation on one device.

    No sample is in both lists: ``best`` is taken from the better half, ``worst`` from the worse half.

    Args:
        count: number of samples in each list.
        mode: whether a larger (``"max"``) or smaller score is better.

    Attributes:
        validated: number of validated samples.
        total: sum of their scores.
    """

    def __init__(self, *, count: int, mode: Literal["min", "max"]) -> None:
        self.sign = 1 if mode == "max" else -1
        self.validated, self.total = 0, 0.0
        self._best, self._worst = FirstSamples(count, largest=True), FirstSamples(count)

    @property
    def worst(self) -> list[Sample]:
        """The worst samples, the worst first."""
        return list(self._worst)[: -(-self.validated // 2)]

    @property
    def best(self) -> list[Sample]:
        """The best samples, the best first."""
        return list(self._best)[: self.validated // 2]

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Updates both lists with a batch."""
        self.update(batch, outputs)

    def update(self, batch: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Updates both lists.

        Args:
            batch: has ``name``.
            output: has ``score``, shape ``(N,)``.
        """
        for index, score in enumerate(output["score"].tolist()):
            self.validated += 1
            self.total += score
            for kept in (self._best, self._worst):
                kept.offer(self.sign * score, batch, output, index)


def _copy_sample(batch: Mapping[str, Any], output: Mapping[str, Any], index: int) -> Sample:
    return Sample(
        name=batch["name"][index],
        score=float(output["score"][index]),
        inputs=_copy_fields(batch, index),
        outputs=_copy_fields(output, index),
    )


def _copy_fields(fields: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Copies one sample's fields to the CPU; 0-dimensional tensors, such as the loss, are left out."""
    return {
        key: value[index].detach().cpu().clone() if isinstance(value, Tensor) else value[index]
        for key, value in fields.items()
        if not (isinstance(value, Tensor) and value.ndim == 0)
    }
