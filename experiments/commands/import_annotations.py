"""``prepare --from``: converts annotations of other tools to images and masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from jsonargparse import ArgumentParser, Namespace

from datamodules.annotations.annotation_set import BACKGROUND_LABELS, IGNORE_LABELS, AnnotationSet, Overlap
from datamodules.annotations.coco import read_coco
from datamodules.annotations.color_masks import color_table
from datamodules.annotations.color_sources import read_color_source
from datamodules.annotations.convert import Converter
from datamodules.annotations.cvat import read_cvat
from datamodules.annotations.import_set import CONFIG, SKIPPED_FILE, Account, class_names, reasons_of, write_set
from datamodules.annotations.labelme import read_labelme
from datamodules.annotations.palette_file import palette_text
from datamodules.annotations.palettes import PALETTES
from datamodules.annotations.yolo import read_yolo
from datamodules.errors import DataError
from datamodules.index.folder_scan import name_some
from datamodules.io.home_folder import expand_home
from datamodules.loading.parallel import usable_cores
from experiments.cli.usage import UsageError, unknown
from experiments.runs.command_line import command_for
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here

Format = Literal["labelme", "coco", "voc", "yolo", "cvat", "rgb"]
PALETTE_FILE = "palette.txt"
_MAX_CLASSES = 253
_READERS = {"labelme": read_labelme, "coco": read_coco, "yolo": read_yolo, "cvat": read_cvat}
_OTHER_OVERLAP = {
    "order": "--overlap area puts smaller ones on top of larger ones",
    "area": "--overlap order puts later ones on top of earlier ones",
}
_MEANING = {"order": "later annotations are on top of earlier ones", "area": "smaller ones are on top of larger ones"}


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of the import."""
    parser.add_argument("source", nargs="?", type=Path | None, default=None, help="annotations: a folder or a file")
    parser.add_argument(
        "--from", type=Format | None, default=None, help="convert annotations of this format to images and masks"
    )
    parser.add_argument("--out", type=Path | None, default=None, help="folder to write: images/, masks/, data.yaml")
    parser.add_argument(
        "--images", type=Path | None, default=None, help="folder of the images, if the annotations do not name it"
    )
    parser.add_argument(
        "--classes",
        type=str | None,
        default=None,
        help="classes in the order of their numbers, separated by commas; 'all' takes all that are declared "
        "(default: those that occur)",
    )
    parser.add_argument(
        "--palette",
        type=str | None,
        default=None,
        help=f"colors of the classes for voc and rgb: {', '.join(PALETTES)}, or a file with lines 'name,r,g,b'",
    )
    parser.add_argument(
        "--overlap", type=Overlap, default="order", help="what is on top: the later annotation, or the smaller area"
    )
    parser.add_argument(
        "--crowd",
        type=Literal["ignore", "object"],
        default="ignore",
        help="whether crowds of COCO are ignored pixels, or drawn like other objects",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the folder of an earlier import")


def run_import(context: RunContext) -> int:
    """Writes the data set, prints the account and what to type next.

    Raises:
        UsageError: for options that are missing or do not go together.
        DataError: for annotations that cannot be used.
    """
    options = context.config
    source, out = _check_options(context)
    if options["from"] in _READERS:
        account, names = _import_regions(options, source, out)
    else:
        account, names = _import_colors(options, source, out)
    print("\n".join(account_lines(account, names, out=out, overlap=options.overlap, format_name=options["from"])))
    config = str(relative_to_here(out / CONFIG))
    print("check the masks, then train:")
    print(f"  {command_for(['--task', 'segment', 'show', '--config', config])}")
    print(f"  {command_for(['--task', 'segment', '--config', config])}")
    return 0


def refuse_import_options(options: Namespace) -> None:
    """Refuses options of the import without ``--from``.

    Raises:
        UsageError: naming the option.
    """
    for name in ("source", "out", "images", "classes", "palette"):
        if options[name] is not None:
            shown = f"'{options.source}'" if name == "source" else f"--{name}"
            raise UsageError(
                f"prepare takes {shown} only with --from {'|'.join(get_args(Format))}; "
                "the folder of your data is --data.root"
            )


def account_lines(account: Account, names: Sequence[str], *, out: Path, overlap: str, format_name: str) -> list[str]:
    """The account as lines of text."""
    used = ", ".join(f"{label} {count}" for label, count in account.used.most_common())
    lines = [f"{format_name}: {sum(account.used.values())} annotations used ({used or 'none'})"]
    if account.skipped:
        lines.append(f"  {len(account.skipped)} not used, all listed in {relative_to_here(out / SKIPPED_FILE)}:")
        for reason, count in reasons_of(account.skipped).most_common(10):
            places = sorted({one.where for one in account.skipped if one.reason == reason})
            lines.append(f"    {count} x {reason}: {name_some(places)}")
    else:
        lines.append("  none was left out")
    if account.overlap:
        lines.append(f"  overlaps: {account.overlap} pixels, where {_MEANING[overlap]}; {_OTHER_OVERLAP[overlap]}")
    if account.hidden:
        lines.append(f"  {account.hidden} annotations are covered completely by others")
    if account.unknown:
        colors = ", ".join(f"{color}: {count}" for color, count in account.unknown.most_common(5))
        lines.append(f"  ignored pixels, since the palette lacks their color: {colors}")
    classes, ignore = class_names(account, names)
    values = [
        f"{number} {name}" for number, name in enumerate(["background", *classes] if len(classes) == 1 else classes)
    ]
    lines.append(f"mask values: {', '.join(values)}{'' if ignore is None else f', {ignore} ignored'}")
    copies = account.images - account.links
    how = "hard links, which take no space" if not copies else f"{copies} copies, {account.links} hard links"
    empty = f", {account.empty} without any annotation" if account.empty else ""
    lines.append(f"{account.images} images{empty} in {relative_to_here(out / 'images')} ({how})")
    if account.splits:
        lines.append("  split: " + ", ".join(f"{split} {count}" for split, count in sorted(account.splits.items())))
    lines.append(
        f"their masks in {relative_to_here(out / 'masks')}, the configuration in {relative_to_here(out / CONFIG)}"
    )
    return lines


def _check_options(context: RunContext) -> tuple[Path, Path]:
    options = context.config
    if context.task_name != "segment":
        raise UsageError(f"prepare --from makes masks, which are for --task segment, not for {context.task_name}")
    if options.source is None:
        raise UsageError(
            f"which annotations? Add their folder or file: prepare --from {options['from']} SOURCE --out OUT"
        )
    if options.out is None:
        raise UsageError("prepare --from needs --out FOLDER, the folder to write")
    if options.palette is not None and options["from"] in _READERS:
        raise UsageError(f"--palette is for the colors of voc and rgb masks, not for {options['from']}")
    source: Path = expand_home(options.source)
    if not source.exists():
        raise DataError(f"{source}: does not exist")
    if options.images is not None and not options.images.is_dir():
        raise DataError(f"--images {options.images}: is not a folder")
    return source, expand_home(options.out)


def _import_regions(options: Namespace, source: Path, out: Path) -> tuple[Account, list[str]]:
    found: AnnotationSet = _READERS[options["from"]](source, options.images)
    occurring = {one.label for image in found.images for one in image.annotations}
    if not occurring:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in reasons_of(found.skipped).most_common(3))
        raise DataError(f"{source}: no annotation could be used: {reasons or 'there are none'}")
    special = BACKGROUND_LABELS | IGNORE_LABELS
    declared = [label for label in found.labels if label not in special]
    labels = _choose(options.classes, declared, [label for label in declared if label in occurring])
    names = ["background", *(label for label in labels if label != "background")]
    converter = Converter(
        numbers={name: number for number, name in enumerate(names)},
        overlap=options.overlap,
        crowds=options.crowd == "object",
    )
    account, _ = write_set(
        found.images,
        out,
        converter,
        names=names,
        overwrite=options.overwrite,
        workers=usable_cores(),
        skipped=found.skipped,
    )
    return account, names


def _import_colors(options: Namespace, source: Path, out: Path) -> tuple[Account, list[str]]:
    found = read_color_source(
        source, options.images, voc=options["from"] == "voc", palette=options.palette, workers=usable_cores()
    )
    print("\n".join(found.notes))
    names = _choose(options.classes, list(found.palette.colors), found.labels)
    names.sort(key=lambda name: name not in BACKGROUND_LABELS)  # the background is class 0
    table = color_table(found.palette, {name: number for number, name in enumerate(names)})
    discovered = {PALETTE_FILE: palette_text(found.palette.colors)} if found.palette.name == "discovered" else {}
    account, _ = write_set(
        found.items,
        out,
        Converter(numbers={}, table=table),
        names=names,
        overwrite=options.overwrite,
        workers=usable_cores(),
        extra=discovered,
        skipped=found.skipped,
    )
    if discovered:
        print(f"name the classes in {relative_to_here(out / PALETTE_FILE)}, then import again with --palette FILE")
    return account, names


def _choose(words: str | None, declared: Sequence[str], occurring: Sequence[str]) -> list[str]:
    """The classes to import."""
    chosen = list(occurring)
    if words == "all":
        chosen = list(declared)
    elif words is not None:
        chosen = [word.strip() for word in words.split(",") if word.strip()]
        for word in chosen:
            if word not in (*declared, *BACKGROUND_LABELS):
                raise unknown("class", word, declared)
    if not chosen:
        raise DataError("there is no class: no annotation has a label")
    if len(chosen) > _MAX_CLASSES:
        raise DataError(f"{len(chosen)} classes: masks hold at most {_MAX_CLASSES}; choose some with --classes")
    if words is None and (absent := [name for name in declared if name not in occurring]):
        print(f"declared, but never annotated, and so left out: {name_some(absent)} (--classes all keeps them)")
    return chosen
