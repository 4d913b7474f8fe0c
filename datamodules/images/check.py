"""Finds the images of a folder and decodes each of them once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from datamodules.cache.check_results import State, current_state, read_result, result_path, write_result
from datamodules.cache.encodings import ProportionalEncoding
from datamodules.cache.file_results import FileResults, Stored, map_unknown, states_of
from datamodules.errors import DataError
from datamodules.index.collector import paused_collector
from datamodules.index.folder_scan import count_suffixes, list_images, scan_folder
from datamodules.index.pairs import name_below
from datamodules.index.problems import OnBad, Problem, raise_or_skip
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.deep_image import largest_deep_value
from datamodules.io.image import read_image_and_header
from datamodules.io.image_file import SUFFIXES
from datamodules.loading.shard import Shard

_GRAY = 2  # mean difference between the channels in gray levels below which an image is gray: JPEG adds less
_SMALL = 32  # JPEGs are decoded at a fraction of their size, ten times faster; the whole file is read in any case
ADVICE = "Correct or remove these files, then run again; nothing was trained."

#: Height and width as displayed, 1 for gray and 0 for color, and the largest value of a 16-bit image, -1 for others.
Sound = tuple[int, int, int, int]

#: What was found, or what is wrong with the file.
Finding = Sound | str


@dataclass(frozen=True)
class ImageFile:
    """One image.

    Args:
        name: path below the data's root, with ``/``; used in messages and tables, and to split.
        path: the file.
        encoding: its size, and how it is cached.
        gray: whether its pixels have no colors; a gray image may be stored as RGB.
        largest: largest stored value of a 16-bit image; ``None`` for others.
    """

    name: str
    path: Path
    encoding: ProportionalEncoding
    gray: bool
    largest: int | None = None

    def with_bits(self, bits: int) -> "ImageFile":
        """The same image, read by the bits that 16-bit images use."""
        return replace(self, encoding=replace(self.encoding, bits=bits))

    def shorter(self, side: int | None = None) -> int:
        """Its shorter side in pixels; with ``side``, after it was resized to at most that."""
        shorter = min(self.encoding.height, self.encoding.width)
        return shorter if side is None else min(shorter, side)


def find_images(root: Path) -> list[Path]:
    """Finds every image below ``root``, sorted.

    Raises:
        DataError: if there are none, or a folder cannot be listed.
    """
    paths = list_images(root)
    if not paths:
        others = scan_folder(root).others
        found = f", only {count_suffixes(others)}" if others else ""
        raise DataError(
            f"{root} holds no images{found}: name a folder of images ({', '.join(sorted(SUFFIXES))}) with --data.root"
        )
    return paths


def check_images(
    root: Path,
    paths: Sequence[Path],
    *,
    results: Path,
    state_of: Callable[[Path], State | None] = current_state,
    on_bad: OnBad = "error",
    bits: int = FULL_BITS,
    workers: int,
) -> tuple[list[ImageFile], list[str]]:
    """Decodes every image once, unless the result of an earlier check is stored.

    Args:
        root: the data's root, for names.
        paths: the images.
        results: folder of the results of checks.
        state_of: size and modification time of a file.
        on_bad: whether files that cannot be used are left out, if they are at most 1 % of the images.
        bits: bits that 16-bit images may use.
        workers: processes that share the work.

    Returns:
        The images in their order, and a line for each file that is left out.

    Raises:
        DataError: naming the files that cannot be read.
    """
    stored = result_path(
        results, paths, about="images" if bits == FULL_BITS else f"images of {bits} bits", state_of=state_of
    )
    names = [name_below(root, path) for path in paths]
    with paused_collector():
        findings = _valid(read_result(stored), names)
    if findings is None or (on_bad == "error" and any(isinstance(finding, str) for finding in findings.values())):
        known = _shard_results(results, root, bits=bits).read()
        findings, problems = _decode_all(root, paths, bits=bits, stored=known, workers=workers)
        raise_or_skip(root, problems, ADVICE, on_bad=on_bad, total=len(paths))
        write_result(stored, findings)
    images = [
        _image_file(name, path, finding)
        for name, path in zip(names, paths, strict=True)
        if not isinstance(finding := findings[name], str)
    ]
    return images, [finding for finding in findings.values() if isinstance(finding, str)]


def check_shard(
    root: Path, paths: Sequence[Path], shard: Shard, *, results: Path, bits: int, workers: int
) -> tuple[list[ImageFile], list[Problem]]:
    """Decodes the images of a shard once, and stores the results for the check of all images.

    A file with problems is left to that check, which decodes it again: the cause may be gone by then.

    Args:
        root: the data's root, for names.
        paths: the images of the shard.
        shard: the shard, under whose name the results are stored.
        results: folder of the results of checks.
        bits: bits that 16-bit images may use.
        workers: processes that share the work.

    Returns:
        The images in their order, and the problems of the others.

    Raises:
        DataError: if the results cannot be written.
    """
    stored = _shard_results(results, root, bits=bits)
    states = [states_of([path]) for path in paths]  # before the files are read
    findings, problems = _decode_all(root, paths, bits=bits, stored=stored.read(), workers=workers)
    sound = {name: finding for name, finding in findings.items() if not isinstance(finding, str)}
    stored.write(
        shard,
        {name: (state, sound[name]) for name, state in zip(findings, states, strict=True) if name in sound},
    )
    images = [_image_file(name, path, sound[name]) for name, path in zip(findings, paths, strict=True) if name in sound]
    return images, problems


def _shard_results(results: Path, root: Path, *, bits: int) -> FileResults:
    return FileResults(results, root, about=f"images {bits} bits")


def _image_file(name: str, path: Path, finding: Sound) -> ImageFile:
    height, width, gray, largest = finding
    return ImageFile(name, path, ProportionalEncoding(height, width), bool(gray), largest if largest >= 0 else None)


def _decode_all(
    root: Path, paths: Sequence[Path], *, bits: int, stored: Stored, workers: int
) -> tuple[dict[str, Finding], list[Problem]]:
    """Findings by name, and the problems among them."""
    names = [name_below(root, path) for path in paths]
    outcomes = map_unknown(
        partial(_decode, bits=bits),
        paths,
        names=names,
        files=lambda path: [path],
        stored=stored,
        load=_sound,
        workers=workers,
        title="checking images",
    )
    problems: list[Problem] = []
    findings: dict[str, Finding] = {}
    for name, path, outcome in zip(names, paths, outcomes, strict=True):
        if isinstance(outcome, DataError):
            problem = Problem("file that cannot be read", name, str(outcome).removeprefix(f"{path}: "), True)
            problems.append(problem)
            findings[name] = str(problem)
        else:
            findings[name] = outcome
    return findings, problems


def _decode(path: Path, *, bits: int) -> Sound:
    pixels, header = read_image_and_header(path, for_size=_SMALL, bits=bits)
    red, green, blue = cv2.split(pixels)
    # ten times as fast as the largest and the smallest value along the last axis
    spread = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    gray = float(np.mean(spread)) < _GRAY
    largest = largest_deep_value(path)
    return (*header.displayed, int(gray), -1 if largest is None else largest)


def _valid(stored: object, names: Sequence[str]) -> Mapping[str, Finding] | None:
    """Stored findings, or ``None`` if they are not those of exactly these names."""
    if not isinstance(stored, dict) or stored.keys() != set(names):
        return None
    findings: dict[str, Finding] = {}
    for name, finding in stored.items():
        if (sound := _sound(finding)) is not None:
            findings[name] = sound
        elif isinstance(finding, str):
            findings[name] = finding
        else:
            return None
    return findings


def _sound(stored: object) -> Sound | None:
    """A stored finding of an image without problems, or ``None``."""
    if isinstance(stored, list) and len(stored) == 4 and all(isinstance(number, int) for number in stored):
        return (stored[0], stored[1], stored[2], stored[3])
    return None
