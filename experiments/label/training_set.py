"""The labeled images of a folder as a data set: a copy, so that a run sees the same masks when it is resumed."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datamodules.errors import DataError
from datamodules.io.image import image_size
from experiments.label.folder import Item, LabelFolder
from experiments.label.label_maps import UNKNOWN, is_own, read_label_map, write_label_map

CONFIG = "data.yaml"


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """What was written.

    Args:
        path: the folder.
        config: file for ``--config``.
        train: number of images to train on.
        val: number of images held out.
        problems: a line for each image that was left out.
    """

    path: Path
    config: Path
    train: int
    val: int
    problems: tuple[str, ...]


def write_training_set(folder: LabelFolder, target: Path, *, stop: Callable[[], bool] | None = None) -> TrainingSet:
    """Writes ``train/`` and ``val/`` with ``images/`` and ``masks/``, and a configuration that names them.

    Finished images that are held out go to ``val/``, all others that are finished or partly labeled to ``train/``.
    Images are linked if the file system can, else copied. Unknown pixels are ``UNKNOWN``, which is ignored.

    Args:
        folder: the labeled folder.
        target: replaced if it exists.
        stop: asked before each image whether to leave out the rest.

    Raises:
        OSError: if it cannot be written.
    """
    shutil.rmtree(target, ignore_errors=True)
    counts = {"train": 0, "val": 0}
    problems: list[str] = []
    for item in folder.items:
        mask = folder.existing_mask(item)
        if item.state == "none" or mask is None:
            continue
        if stop is not None and stop():
            break
        split = "val" if item.held_out and item.state == "done" else "train"
        try:
            if not _copy_mask(folder, item, mask, target / split / "masks" / f"{item.key}.png"):
                continue
        except DataError as error:
            problems.append(str(error))
            continue
        _link(item.path, target / split / "images" / item.name)
        counts[split] += 1
    config = target / CONFIG
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump({"data": _data(folder, target)}, sort_keys=False), encoding="utf-8")
    return TrainingSet(path=target, config=config, train=counts["train"], val=counts["val"], problems=tuple(problems))


def hold_one_out(folder: LabelFolder) -> Item | None:
    """Holds a finished image out if none is, so that a network can be validated.

    Returns:
        The image; ``None`` if fewer than two are finished.
    """
    finished = [item for item in folder.items if item.state == "done"]
    held_out = next((item for item in finished if item.held_out), None)
    if held_out is None and len(finished) >= 2:
        held_out = finished[-1]
        folder.hold_out(held_out)
    return held_out


def data_classes(folder: LabelFolder) -> list[str]:
    """The class list of the data module: a single class as it is, several behind the background."""
    names = list(folder.classes)
    return names if len(names) == 1 else ["background" if "background" not in names else "rest", *names]


def _copy_mask(folder: LabelFolder, item: Item, mask: Path, target: Path) -> bool:
    """Copies the mask of an image; returns whether anything is labeled in it.

    A mask of ``label`` is copied as a file, which takes a hundredth of the time. Those of other programs are converted.

    Raises:
        DataError: if it cannot be read or does not fit the image.
    """
    size = image_size(item.path)
    if is_own(mask) and item.state == "done" and image_size(mask) == size:  # all its pixels are labeled
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(mask, target)
        return True
    labels = read_label_map(mask, size=size, classes=len(folder.classes))
    if not (labels != UNKNOWN).any():
        return False
    write_label_map(target, labels, len(folder.classes))
    return True


def _data(folder: LabelFolder, target: Path) -> dict[str, Any]:
    return {
        "class_path": "datamodules.FolderDataModule",
        "init_args": {
            "root": str(target.resolve()),
            "image_dir": "{split}/images",
            "mask_dir": "{split}/masks",
            "classes": data_classes(folder),
            "ignore": UNKNOWN,
        },
    }


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # another file system, or one without links
        os.link(source.resolve(), target)
        return
    shutil.copy2(source, target)
