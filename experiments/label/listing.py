"""What a labeled folder holds at the start of a session: images, masks, and the class list."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from datamodules.errors import DataError
from datamodules.index.folder_scan import scan_folder
from experiments.cli.usage import UsageError
from experiments.label.journal import Journal
from experiments.label.label_maps import MAX_CLASSES

MASKS = "masks"
DEFAULT_CLASSES = ("foreground",)


def image_names(root: Path) -> Sequence[str]:
    """Lists the images below a folder, except those in ``masks/``, as paths with ``/``.

    Raises:
        UsageError: if two images would share a mask.
        DataError: if the folder cannot be listed.
    """
    scan = scan_folder(root)
    if scan.problems:
        raise DataError("\n  ".join([f"{root} cannot be read completely:", *scan.problems]))
    names = [path.relative_to(root).as_posix() for path in scan.files]
    names = [name for name in names if not name.startswith(f"{MASKS}/")]
    seen: dict[str, str] = {}
    for name in names:
        key = name.rpartition(".")[0]
        if key in seen:
            raise UsageError(
                f"{root}: {seen[key]} and {name} would share one mask {MASKS}/{key}.png: rename one of them"
            )
        seen[key] = name
    return names


def existing_masks(masks: Path) -> dict[str, list[Path]]:
    """Lists the masks that exist, by the image's name without its suffix."""
    found: dict[str, list[Path]] = {}
    for path in scan_folder(masks).files if masks.is_dir() else []:
        found.setdefault(path.relative_to(masks).with_suffix("").as_posix(), []).append(path)
    return found


def agreed_classes(wanted: tuple[str, ...], settings: Journal, masks: Path) -> tuple[str, ...]:
    """Compares the class names of the command line with those of earlier sessions.

    Args:
        wanted: names of the command line; empty takes the earlier ones.
        settings: holds the earlier ones.
        masks: folder of the masks, for messages.

    Raises:
        UsageError: if masks that exist would get another meaning, or names are repeated.
    """
    stored: tuple[str, ...] = ()
    for record in settings.read():
        with suppress(TypeError):
            stored = tuple(str(name) for name in record.get("classes", ()))
    if len(wanted) > MAX_CLASSES:
        raise UsageError(f"--classes names {len(wanted)} classes; there can be at most {MAX_CLASSES}")
    if len(set(wanted)) < len(wanted) or not all(wanted):
        raise UsageError(f"--classes {' '.join(wanted)}: every class needs a name of its own")
    if wanted and stored and wanted[: len(stored)] != stored:
        raise UsageError(
            f"--classes {' '.join(wanted)}: the masks in {masks} were drawn with the classes "
            f"{' '.join(stored)}; new ones can only be added behind them"
        )
    if stored and len(stored) == 1 and len(wanted) > 1:
        return wanted
    return wanted or stored or DEFAULT_CLASSES
