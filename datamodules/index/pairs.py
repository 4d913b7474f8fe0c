"""Pairs images with masks by the stem of their names."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from datamodules.index.folder_scan import list_images, scan_folder
from datamodules.index.problems import Problem

IMAGE_WITHOUT_MASK = "image without a mask"  # kind of problem


@dataclass(frozen=True, order=True)
class Pair:
    """An image and its mask.

    Args:
        key: path of the image below its folder, without suffix, with ``/`` on every system; used to match, group
            and split.
        name: path of the image below the data's root, with ``/``; used in messages and tables.
        image: the image file.
        mask: the mask file.
    """

    key: str
    name: str
    image: Path
    mask: Path


def pair_by_stem(
    root: Path, images: Path, masks: Path, *, mask_suffix: str = "", image_suffix: str = ""
) -> tuple[list[Pair], list[Problem]]:
    """Pairs ``images/sub/name.jpg`` with ``masks/sub/name<mask_suffix>.png``, in any formats.

    Both may be the same folder if there is a ``mask_suffix``, and one may be inside the other. Names are compared in
    Unicode form NFC, because some systems store accents in form NFD.

    Args:
        root: the data's root, for names.
        images: folder of the images.
        masks: folder of the masks.
        mask_suffix: what follows the image's stem in the stem of its mask, such as ``"_mask"``.
        image_suffix: what ends the stems of the files that stand for an image and is not part of its name, such as
            ``"_B04"``, the first band; images without it are left out.

    Returns:
        The pairs sorted by key, and a problem for each file without a partner or with several.
    """
    problems: list[Problem] = []
    files = list_images(images)
    if images == masks:
        files, mask_files = [f for f in files if not f.stem.endswith(mask_suffix)], files
    else:
        mask_files = list_images(masks)
        if masks.is_relative_to(images):
            files = [file for file in files if not file.is_relative_to(masks)]
        elif images.is_relative_to(masks):
            mask_files = [file for file in mask_files if not file.is_relative_to(images)]
    sources = {
        key.removesuffix(image_suffix): paths
        for key, paths in _by_key(files, images).items()
        if key.endswith(image_suffix)
    }
    targets: dict[str, list[Path]] = defaultdict(list)
    for key, paths in _by_key(mask_files, masks).items():
        if key.endswith(mask_suffix):
            targets[key.removesuffix(mask_suffix)] += paths
        elif images != masks:
            problems += [Problem(f"mask whose name lacks '{mask_suffix}'", name_below(root, path)) for path in paths]
    problems += _repeated_names(sources, root) + _repeated_names(targets, root)
    unsupported = _unsupported(masks) if sources.keys() - targets.keys() else {}
    for key in sources.keys() - targets.keys():
        wanted = unsupported.get(key + mask_suffix, f"no {name_below(root, masks)}/{key}{mask_suffix}.*")
        problems += [Problem(IMAGE_WITHOUT_MASK, name_below(root, path), wanted, True) for path in sources[key]]
    unsupported = _unsupported(images) if targets.keys() - sources.keys() else {}
    for key in targets.keys() - sources.keys():
        wanted = unsupported.get(key, f"no {name_below(root, images)}/{key}.*")
        problems += [Problem("mask without an image", name_below(root, path), wanted, True) for path in targets[key]]
    both = sorted(sources.keys() & targets.keys())
    pairs = [Pair(key, name_below(root, sources[key][0]), sources[key][0], targets[key][0]) for key in both]
    return pairs, sorted(problems)


def _by_key(files: list[Path], folder: Path) -> Mapping[str, list[Path]]:
    keys: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        keys[key_below(folder, path)].append(path)
    return keys


def _unsupported(folder: Path) -> dict[str, str]:
    """What is wrong with the files that are no images by their suffix, by key."""
    files = _by_key(scan_folder(folder).others, folder)
    return {key: f"the suffix of {paths[0].name} is not supported" for key, paths in files.items()}


def _repeated_names(keys: Mapping[str, list[Path]], root: Path) -> list[Problem]:
    return [
        Problem("two files of one name", name_below(root, paths[0]), "also " + ", ".join(p.name for p in paths[1:]))
        for paths in keys.values()
        if len(paths) > 1
    ]


def key_below(folder: Path, path: Path) -> str:
    """``path`` relative to ``folder``, with ``/``, without suffix and in Unicode form NFC.

    >>> key_below(Path("images"), Path("images/a/b.c.jpg")), key_below(Path("images"), Path("images/b."))
    ('a/b.c', 'b.')
    """
    name = name_below(folder, path)
    dot = name.rfind(".")
    if dot > name.rfind("/") + 1 and dot < len(name) - 1:  # a leading or a final dot starts no suffix
        name = name[:dot]
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def name_below(root: Path, path: Path) -> str:
    """``path`` relative to ``root``, with ``/``; with ``..`` if it lies outside."""
    start, whole = str(root), str(path)
    length = len(start)
    if whole.startswith(start) and whole[length : length + 1] == os.sep and ".." not in whole:  # a tenth of the time
        return whole[length + 1 :] if os.sep == "/" else whole[length + 1 :].replace(os.sep, "/")
    return PurePath(os.path.relpath(path, root)).as_posix()
