"""Writes a data set of images and masks from annotations, complete or not at all, with an account of everything."""

import secrets
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from datamodules.annotations.annotation_set import BACKGROUND_LABELS, AnnotatedImage, Skipped, split_of
from datamodules.annotations.color_masks import IGNORE, ColorMask
from datamodules.annotations.convert import Converted, Converter, Job
from datamodules.errors import DataError
from datamodules.io.atomic_file import PARTIAL
from datamodules.loading.parallel import map_files

CONFIG, SKIPPED_FILE = "data.yaml", "skipped.txt"
_HEAD = "# written by prepare --from; train with --config and this file\n"
_MAX_UNKNOWN = 0.05  # fraction of pixels whose color is unknown; more means another palette


@dataclass(kw_only=True)
class Account:
    """What became of all annotations.

    Args:
        images: images that were written.
        empty: those among them without an annotation.
        used: annotations by label.
        pixels: pixels by class number.
        skipped: everything that was not used.
        overlap: pixels that several annotations cover.
        hidden: annotations that others cover completely.
        unknown: pixels by color that the palette lacks.
        links: images that are hard links.
        splits: images by split; empty if the source has none.
    """

    images: int = 0
    empty: int = 0
    used: Counter[str] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
    overlap: int = 0
    hidden: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    links: int = 0
    splits: Counter[str] = field(default_factory=Counter)

    def add(self, result: Converted) -> None:
        """Adds one image."""
        self.images += 1
        self.empty += not result.used
        self.used += result.used
        self.pixels += result.pixels
        self.skipped += result.skipped
        self.overlap += result.overlap
        self.hidden += result.hidden
        self.unknown += result.unknown
        self.links += result.linked


def write_set(
    items: Sequence[AnnotatedImage] | Sequence[ColorMask],
    out: Path,
    converter: Converter,
    *,
    names: Sequence[str],
    overwrite: bool,
    workers: int,
    extra: Mapping[str, str] | None = None,
    skipped: Sequence[Skipped] = (),
) -> tuple[Account, Path]:
    """Writes ``images/``, ``masks/`` and ``data.yaml`` into a hidden folder beside ``out`` and renames it at the end.

    Args:
        items: the images.
        out: the folder to write.
        converter: draws the masks.
        names: class names in the order of their numbers, the background included.
        overwrite: whether ``out`` may be replaced, if an import wrote it.
        workers: processes.
        extra: text files to write, by name.
        skipped: what the reader could not use.

    Returns:
        The account, and the configuration file.

    Raises:
        DataError: if ``out`` exists, no image could be used, or the colors are not those of the palette.
    """
    _check_out(out, items, overwrite=overwrite)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        jobs, repeated = _jobs(items, partial)
        account = Account(skipped=[*skipped, *repeated])
        partial.mkdir(parents=True)
        for job, result in zip(jobs, map_files(converter, jobs, workers=workers, title="drawing masks"), strict=True):
            if isinstance(result, DataError):
                account.skipped += _unused(job, result)
            else:
                account.add(result)
                account.splits[job.mask_file.relative_to(partial / "masks").parts[0]] += _has_split(job, partial)
        account.splits = +account.splits
        _check_result(account)
        (partial / CONFIG).write_text(_config(out, account, names), encoding="utf-8")
        if account.skipped:
            lines = sorted(f"{one.where}: {one.reason}\n" for one in account.skipped)
            (partial / SKIPPED_FILE).write_text("".join(lines), encoding="utf-8")
        for name, text in (extra or {}).items():
            (partial / name).write_text(text, encoding="utf-8")
        _replace(partial, out)
    except OSError as error:
        place = error.filename or out
        raise DataError(f"{place}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return account, out / CONFIG


def class_names(account: Account, names: Sequence[str]) -> tuple[list[str], int | None]:
    """The classes for ``FolderDataModule``, and the ignored value.

    One class against background needs only its own name.
    """
    ignore = IGNORE if account.pixels[IGNORE] else None
    if len(names) == 2 and names[0] in BACKGROUND_LABELS:
        return [names[1]], ignore
    return list(names), ignore


def _jobs(items: Sequence[AnnotatedImage | ColorMask], folder: Path) -> tuple[list[Job], list[Skipped]]:
    splits = {item.split for item in items}
    use_splits = None not in splits and "train" in splits
    jobs: list[Job] = []
    repeated: list[Skipped] = []
    taken: set[str] = set()
    for item in items:
        name = PurePosixPath(item.name)
        parts = name.parts
        if use_splits and item.split is not None:
            inner = [part for part in parts[:-1] if split_of(PurePosixPath(part, "x")) != item.split]
            parts = (item.split, *inner, parts[-1])
        target = Path(*parts)
        key = target.with_suffix("").as_posix().casefold()
        if key in taken:
            reason = "another image has the same name (without suffix)"
            annotations = item.annotations if isinstance(item, AnnotatedImage) else []
            repeated += [Skipped(reason, one.where) for one in annotations] or [Skipped(reason, item.name)]
            continue
        taken.add(key)
        mask = folder / "masks" / target.with_suffix(".png")
        jobs.append(Job(item=item, image_file=folder / "images" / target, mask_file=mask))
    return jobs, repeated


def _has_split(job: Job, folder: Path) -> bool:
    parts = job.mask_file.relative_to(folder / "masks").parts
    return len(parts) > 1 and parts[0] == job.item.split


def _unused(job: Job, error: DataError) -> list[Skipped]:
    annotations = job.item.annotations if isinstance(job.item, AnnotatedImage) else []
    return [Skipped(f"annotation of an image that cannot be used: {error}", one.where) for one in annotations] or [
        Skipped(f"image that cannot be used: {error}", job.item.name)
    ]


def _check_out(out: Path, items: Sequence[AnnotatedImage | ColorMask], *, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise DataError(f"--out {out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()):
        if not overwrite:
            raise DataError(f"--out {out}: exists and is not empty; name another folder, or add --overwrite")
        config = out / CONFIG
        if not (config.is_file() and config.read_text(encoding="utf-8", errors="replace").startswith(_HEAD)):
            raise DataError(f"--out {out}: was not written by an import, so it is not replaced; name another folder")
        inside = out.resolve()
        if any(item.image.resolve().is_relative_to(inside) for item in items):
            raise DataError(f"--out {out}: holds images that are imported, so it is not replaced; name another folder")


def _check_result(account: Account) -> None:
    if not account.images:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in reasons_of(account.skipped).most_common(3))
        raise DataError(f"no image could be used: {reasons or 'there are none'}")
    total = sum(account.pixels.values())
    if sum(account.unknown.values()) > _MAX_UNKNOWN * total:
        colors = ", ".join(color for color, _ in account.unknown.most_common(5))
        share = sum(account.unknown.values()) / total
        raise DataError(
            f"{share:.0%} of all pixels have a color that the palette lacks (such as {colors}): name the right one "
            "with --palette, or leave it out to see the colors"
        )
    if not account.used:
        reasons = "; ".join(reason for reason, _ in reasons_of(account.skipped).most_common(3))
        raise DataError(f"no annotation could be used: {reasons or 'there are none'}")


def reasons_of(skipped: Sequence[Skipped]) -> Counter[str]:
    """Counts what was skipped by its reason."""
    return Counter(one.reason for one in skipped)


def _config(out: Path, account: Account, names: Sequence[str]) -> str:
    classes, ignore = class_names(account, names)
    options: dict[str, object] = {"root": str(out.absolute()), "classes": classes}
    if ignore is not None:
        options["ignore"] = ignore
    content = {"data": {"class_path": "datamodules.FolderDataModule", "init_args": options}}
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _replace(partial: Path, out: Path) -> None:
    if not out.exists():
        partial.rename(out)
        return
    old = out.with_name(f".{out.name}.{secrets.token_hex(4)}.old")
    out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)
