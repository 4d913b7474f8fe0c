"""Checks images and masks of a data set, or reads the result of an earlier check of the same files."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from datamodules.cache.check_results import State, read_result, result_path, write_result
from datamodules.errors import DataError
from datamodules.index.collector import paused_collector
from datamodules.index.folder_scan import count_suffixes, scan_folder
from datamodules.index.problems import OnBad
from datamodules.io.bands import BandLayout
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.image_file import SUFFIXES
from datamodules.segmentation.check import CheckResult, check_pairs, pair_results, stored_result
from datamodules.segmentation.label_map import ClassList
from datamodules.segmentation.summary import DatasetIndex


def check_once(
    root: Path,
    index: DatasetIndex,
    class_list: ClassList,
    *,
    files: Sequence[Path],
    state_of: Callable[[Path], State | None],
    layout: BandLayout | None,
    bits: int,
    on_bad: OnBad,
    results: Path,
    workers: int,
) -> tuple[CheckResult, float | None]:
    """Returns the result of the check and its time in seconds, ``None`` if the result was stored.

    Args:
        root: folder of the data set.
        index: its images and masks.
        class_list: the classes.
        files: all files of the index; the stored result is of these files at their size and time of change.
        state_of: size and time of change of a file.
        layout: channels of the images; ``None`` for RGB.
        bits: number of bits that images of 16 bits use.
        on_bad: whether files that cannot be used are left out.
        results: folder of stored results.
        workers: processes that check.

    Raises:
        DataError: if there are no images; names all problems otherwise.
    """
    require_images(root, index)
    about = str(class_list) if layout is None else f"{class_list} {layout}"
    about += "" if bits == FULL_BITS else f" {bits} bits"
    path = result_path(results, files, about=about, state_of=state_of)
    with paused_collector():
        check = stored_result(read_result(path))
    # A stored result is not used if there are problems: all are then found again and reported together.
    # The same files have other names below another root.
    named = check is not None and all(pair.name in check.shapes or pair.name in check.bad for pair in index.pairs)
    if check is not None and named and not index.problems and (on_bad == "skip" or not check.bad):
        return check, None
    start = time.monotonic()
    check = check_pairs(
        root,
        index.pairs,
        class_list,
        layout=layout,
        found=index.problems,
        on_bad=on_bad,
        bits=bits,
        stored=pair_results(results, root, layout=layout, bits=bits).read(),
        workers=workers,
    )
    write_result(path, asdict(check))
    return check, time.monotonic() - start


def require_images(root: Path, index: DatasetIndex) -> None:
    """Refuses a data set without images.

    Raises:
        DataError: counting what is there instead.
    """
    if not index.pairs and not index.problems:
        others = scan_folder(root).others
        found = f", only {count_suffixes(others)}" if others else ""
        raise DataError(
            f"the data root {root} holds no images{found}: put images and masks in it "
            f"({', '.join(sorted(SUFFIXES))}), or name another folder"
        )
