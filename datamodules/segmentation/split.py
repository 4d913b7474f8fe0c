"""Divides the images and masks of a data set into training, validation and test."""

from collections.abc import Container
from pathlib import Path

from datamodules.errors import DataError
from datamodules.index.pairs import Pair
from datamodules.index.splits import Split, fold_of, held_out, subsample
from datamodules.segmentation.summary import DatasetIndex


def split_pairs(
    root: Path,
    index: DatasetIndex,
    bad: Container[str],
    *,
    folds: int,
    fold: int,
    val_share: float,
    seed: int,
    keep_pct: float,
) -> dict[Split, list[Pair]]:
    """Divides whole groups, by the splits that the data define, by folds or by chance.

    Args:
        root: the data's root, for messages.
        index: all images and masks.
        bad: names of images that are left out.
        folds: number of folds, one of which is the validation set; 0 for none.
        fold: number of that fold, from 1.
        val_share: fraction of the groups that is held out for validation where the data define no split ``val``.
        seed: seed of folds and held-out groups.
        keep_pct: fraction of each split that is kept.

    Returns:
        The pairs by split; without a test split, ``test`` has the pairs of ``val``.

    Raises:
        DataError: if a split has no images; ``train`` needs none if all groups are held out.
    """
    splits = {name: index.splits.get(name, "train") for name in index.groups}
    if folds:
        groups = {name: group for name, group in index.groups.items() if splits[name] != "test"}
        val = fold_of(groups.values(), folds=folds, fold=fold, seed=seed)
        splits |= {name: "val" if group in val else "train" for name, group in groups.items()}
    elif "val" not in splits.values():
        groups = {name: group for name, group in index.groups.items() if splits[name] == "train"}
        val = held_out(groups.values(), share=val_share, seed=seed)
        splits |= {name: "val" for name, group in groups.items() if group in val}
    parts: dict[Split, list[Pair]] = {"train": [], "val": [], "test": []}
    for pair in index.pairs:
        if pair.name not in bad:
            parts[splits[pair.name]].append(pair)
    parts["test"] = parts["test"] or parts["val"]
    for split, pairs in parts.items():
        if not pairs and (split != "train" or val_share < 1):
            raise DataError(f"no image is in the split '{split}' of {root}: give it at least one")
        parts[split] = subsample(pairs, share=keep_pct, name=lambda pair: pair.name)
    return parts
