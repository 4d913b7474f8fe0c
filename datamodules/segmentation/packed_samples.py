"""Pairs and samples in one object each, for loader processes whose memory does not grow."""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from datamodules.index.pairs import Pair
from datamodules.loading.packed import PackedSequence, Row
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding
from datamodules.segmentation.samples import Sample
from datamodules.storage.path_table import PathTable


def pack_pairs(pairs: Iterable[Pair]) -> PackedSequence[Pair]:
    """Stores pairs as a ``PackedSequence``."""
    paths = PathTable()
    return PackedSequence(pairs, row=partial(_pair_row, paths), record=partial(_pair, paths))


def _pair_row(paths: PathTable, pair: Pair) -> Row:
    return pair.key, pair.name, paths.value(pair.image), paths.value(pair.mask)


def _pair(paths: PathTable, row: Row) -> Pair:
    key, name, image, mask = row
    return Pair(key, name, paths.path(image), paths.path(mask))


def pack_samples(samples: Iterable[Sample]) -> PackedSequence[Sample]:
    """Stores samples as a ``PackedSequence``; those with equal mask encodings get the same object."""
    form = _Form()
    return PackedSequence(samples, row=form.row, record=form.sample)


@dataclass
class _Form:
    paths: PathTable = field(default_factory=PathTable)
    encodings: list[CoverageEncoding | ClassesEncoding] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # in the list above, by label

    def row(self, sample: Sample) -> Row:
        label = sample.encoding.label
        if label not in self.numbers:
            self.numbers[label] = len(self.encodings)
            self.encodings.append(sample.encoding)
        files = self.paths.value(sample.image), self.paths.value(sample.mask)
        bands = None if sample.bands is None else pickle.dumps(sample.bands)
        return sample.name, *files, self.numbers[label], sample.shape, bands, sample.bits

    def sample(self, row: Row) -> Sample:
        name, image, mask, encoding, shape, bands, bits = row
        return Sample(
            name=name,
            image=self.paths.path(image),
            mask=self.paths.path(mask),
            encoding=self.encodings[encoding],
            shape=shape,
            bands=None if bands is None else pickle.loads(bands),
            bits=bits,
        )
