"""Checks the images and masks of one shard, and chooses what of them can be cached before the others are checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datamodules.cache.cache import Item
from datamodules.cache.encodings import bands_encoding
from datamodules.cache.file_results import States, states_of
from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.problems import Problem
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.loading.shard import Shard
from datamodules.segmentation.check import decode_pairs, pair_files, pair_results
from datamodules.segmentation.label_map import ClassList, LabelMap
from datamodules.segmentation.mask_encodings import ClassesEncoding, CoverageEncoding
from datamodules.segmentation.pair_check import PairCheck, plain_check
from datamodules.segmentation.samples import Sample
from datamodules.segmentation.set_checks import count_pixels, unknown_values


@dataclass(frozen=True)
class ShardCheck:
    """The content of the files of a shard.

    Args:
        usable: images and masks without problems.
        problems: of the others, sorted.
    """

    usable: Sequence[tuple[Pair, PairCheck]]
    problems: Sequence[Problem]


def check_shard(
    root: Path,
    pairs: Sequence[Pair],
    classes: ClassList,
    shard: Shard,
    *,
    layout: BandLayout | None,
    bits: int,
    results: Path,
    workers: int,
) -> ShardCheck:
    """Decodes the images and masks of a shard, and stores the results for the check of the whole set.

    A file with problems is left to that check, which decodes it again: the cause may be gone by then. Masks of one
    class are compared with the values of most masks of the shard.

    Args:
        root: the data's root.
        pairs: the images and masks of the shard.
        classes: the class list.
        shard: the shard, under whose name the results are stored.
        layout: channels of the images; ``None`` for RGB images.
        bits: bits that 16-bit RGB images may use.
        results: folder of stored results.
        workers: number of processes.

    Raises:
        DataError: if the results cannot be written.
    """
    stored = pair_results(results, root, layout=layout, bits=bits)
    states: list[States] = [states_of(pair_files(layout, pair)) for pair in pairs]  # before the files are read
    outcomes = decode_pairs(root, pairs, layout=layout, bits=bits, stored=stored.read(), workers=workers)
    checked = [(pair, check) for pair, check in zip(pairs, outcomes, strict=True) if not isinstance(check, DataError)]
    state_of = dict(zip((pair.name for pair in pairs), states, strict=True))
    stored.write(
        shard,
        {pair.name: (state_of[pair.name], plain_check(check)) for pair, check in checked if not check.problems},
    )
    unknown = unknown_values(root, checked, classes)
    problems = [problem for _, check in checked for problem in check.problems]
    return ShardCheck(
        usable=[(pair, check) for pair, check in checked if not check.problems and pair.name not in unknown],
        problems=sorted([*problems, *unknown.values()]),
    )


def shard_items(
    checked: Sequence[tuple[Pair, PairCheck]],
    classes: ClassList,
    *,
    layout: BandLayout | None,
    bits: int | None,
    whole: bool,
) -> list[Item]:
    """The images and masks whose copies do not depend on the rest of the set.

    Left out are masks of which the other masks decide whether they are turned, all masks if those of the shard do not
    tell what is foreground, and 16-bit images whose bits are measured over the set.

    Args:
        checked: images and masks without problems.
        classes: the class list.
        layout: channels of the images; ``None`` for RGB images.
        bits: bits that 16-bit RGB images use; ``None`` if they are measured.
        whole: whether images keep their proportions.
    """
    try:
        label_map = classes.label_map(count_pixels(checked)[1])
    except DataError:  # empty masks only, or a mixture that the check of the whole set refuses
        label_map = None
    encoding = CoverageEncoding if classes.one_class else ClassesEncoding
    items: list[Item] = []
    for pair, check in checked:
        sample = Sample(
            name=pair.name,
            image=pair.image,
            mask=pair.mask,
            encoding=encoding(label_map or LabelMap({}), check.orientation if check.drawn_on == "stored" else 1),
            shape=(check.height, check.width),
            bands=None if layout is None else bands_encoding(layout, pair.image),
            bits=FULL_BITS if bits is None else bits,
        )
        if bits is not None or check.largest is None:
            items.append(sample.image_item(whole=whole))
        if label_map is not None and check.drawn_on != "unknown":
            items.append(sample.mask_item(whole=whole))
    return items
