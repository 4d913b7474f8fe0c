"""Finds the images that annotation files name."""

import os
from pathlib import Path, PurePosixPath

from datamodules.annotations.annotation_set import safe_name
from datamodules.index.folder_scan import list_images
from datamodules.io.image_file import SUFFIXES


class ImageFinder:
    """Looks up images by the names that annotation files store, which often were made on another machine.

    Args:
        folder: folder of the images; ``None`` looks only beside the annotation file.
        also: further folders, searched in this order.
    """

    def __init__(self, folder: Path | None, also: tuple[Path, ...] = ()) -> None:
        self._folders = [place for place in (folder, *also) if place is not None]
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, stored: str, *, beside: Path | None = None) -> Path | None:
        r"""Finds an image; ``None`` if there is none, or several of that name.

        Args:
            stored: its path in the annotation file, with ``/`` or ``\``.
            beside: the annotation file; images beside it are found by its own stem, too.
        """
        name = safe_name(stored)
        if beside is not None:
            typed = beside.parent / stored.replace("\\", "/") if "\0" not in stored else beside
            if _is_image(typed):
                return Path(os.path.normpath(typed))
            if name is not None and _is_image(beside.parent / PurePosixPath(name).name):
                return beside.parent / PurePosixPath(name).name
        if name is not None:
            for folder in self._folders:
                if _is_image(folder / name):
                    return folder / name
        candidates = self._named(PurePosixPath(name).name.lower()) if name is not None else []
        if not candidates and beside is not None:
            candidates = [path for path in sorted(beside.parent.glob(f"{_escape(beside.stem)}.*")) if _is_image(path)]
        return candidates[0] if len(candidates) == 1 else None

    def _named(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = {}
            for folder in self._folders:
                for path in list_images(folder):
                    known = self._by_name.setdefault(path.name.lower(), [])
                    if path not in known:
                        known.append(path)
        return self._by_name.get(name, [])


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _escape(stem: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
