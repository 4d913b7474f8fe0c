"""A folder of images that is being labeled: its images, their states, and the lock of the process that may write."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.io.atomic_file import remove_partial_files
from experiments.cli.usage import UsageError
from experiments.label.journal import Journal, Record
from experiments.label.listing import MASKS, agreed_classes, existing_masks, image_names
from experiments.runs.lock import InUseError, RunLock

State = Literal["none", "partly", "done"]
STATE, SUGGESTION_LOG = ".label", "suggestions.jsonl"
#: One finished image in five is held out of training, so that the Dice of a round is that of unseen images.
_HELD_OUT = 5


@dataclass(kw_only=True)
class Item:
    """An image and what is known of it.

    Args:
        number: position in the list, from 0.
        name: path below the folder, with ``/``.
        path: the file.
        state: how much of it a person has labeled.
        held_out: whether it is validated on and never trained on.
        dismissed: whether its suggestion was refused.
        doubt: of the network, from 0 to 1; ``None`` without a suggestion.
        revision: value of the folder's counter at the last change.
    """

    number: int
    name: str
    path: Path
    state: State = "none"
    held_out: bool = False
    dismissed: bool = False
    doubt: float | None = None
    revision: int = 0

    @property
    def key(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0]


class LabelFolder:
    """Images below a folder, with masks in ``masks/`` and everything else in ``.label/``.

    One process at a time may write. Others see the folder as it is and know who holds it.

    Args:
        root: the folder.
        classes: class names; empty takes those of the last session.

    Raises:
        UsageError: if there are no images, or the classes contradict those of earlier sessions.
        DataError: if the folder cannot be listed.
    """

    def __init__(self, root: Path, classes: Sequence[str] = ()) -> None:
        if not root.is_dir():
            raise UsageError(f"there is no folder {root}: name the folder of your images")
        self.root, self.masks, self.state_folder = root, root / MASKS, root / STATE
        self.items = [Item(number=n, name=name, path=root / name) for n, name in enumerate(image_names(root))]
        if not self.items:
            raise UsageError(f"{root} holds no images: put some in it, or name another folder")
        self._by_key = {item.key: item for item in self.items}
        self._existing = existing_masks(self.masks)
        self.revision = 1  # a page that knows nothing asks for the changes since 0
        self.holder: str | None = None
        self._journal = Journal(self.state_folder / "states.jsonl")
        self._settings = Journal(self.state_folder / "classes.jsonl")
        self.classes = agreed_classes(tuple(classes), self._settings, self.masks)
        self._suggestion_log = Journal(self.state_folder / SUGGESTION_LOG)
        self._log_size = self._log_lines = 0
        self._lock: RunLock | None = None
        self.read_states()

    def __enter__(self) -> "LabelFolder":
        """Takes the lock if it is free; otherwise ``holder`` names who has it."""
        try:
            self._lock = RunLock(self.state_folder)
        except InUseError as error:
            self.holder = error.holder
            return self
        remove_partial_files(self.masks, self.state_folder)
        if [{"classes": list(self.classes)}] != self._settings.read():
            self._settings.replace([{"classes": list(self.classes)}])
        return self

    def __exit__(self, *_: object) -> None:
        """Releases the lock."""
        if self._lock is not None:
            self._lock.__exit__()
            self._lock = None

    @property
    def writable(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock is not None

    def mask_path(self, item: Item) -> Path:
        """Where the mask of an image is written."""
        return self.masks / f"{item.key}.png"

    def existing_mask(self, item: Item) -> Path | None:
        """The file that holds the mask of an image, of any format."""
        own = self.mask_path(item)
        if not self.writable and own.is_file():  # the process that may write can have written it a moment ago
            return own
        return next(iter(self._existing.get(item.key, [])), None)

    def foreign_masks(self, item: Item) -> list[Path]:
        """Files with a mask of this image under another name than ``mask_path``."""
        return [path for path in self._existing.get(item.key, []) if path != self.mask_path(item)]

    def mask_written(self, item: Item) -> None:
        """Notes that the mask's file exists now, and no other."""
        self._existing[item.key] = [self.mask_path(item)]

    def history_path(self, item: Item) -> Path:
        """The journal of an image's edits."""
        return self.state_folder / "history" / f"{item.key}.jsonl"

    def suggestion_path(self, item: Item) -> Path:
        """The network's prediction for an image."""
        return self.state_folder / "suggestions" / f"{item.key}.npz"

    def backup_path(self, mask: Path) -> Path:
        """A free name for the backup of a mask of another program."""
        place = self.state_folder / "backup" / mask.relative_to(self.masks)
        free = place
        number = 2
        while free.exists():
            free = place.with_name(f"{place.stem}-{number}{place.suffix}")
            number += 1
        return free

    def set_state(self, item: Item, state: State) -> None:
        """Writes the state of an image. Every fifth image that is finished is held out from then on."""
        record: Record = {"key": item.key, "state": state}
        if state == "done" and not item.held_out and not self._was_finished(item):
            finished = sum(other.state == "done" for other in self.items) + 1
            record["held_out"] = finished % _HELD_OUT == 0
        self._append(record)

    def set_dismissed(self, item: Item, dismissed: bool) -> None:
        """Writes whether the suggestion of an image is refused."""
        self._append({"key": item.key, "dismissed": dismissed})

    def hold_out(self, item: Item) -> None:
        """Holds an image out of training from now on."""
        self._append({"key": item.key, "held_out": True})

    def read_suggestion_log(self) -> list[Item]:
        """Reads the doubts that were written since the last call, and returns their images."""
        try:
            size = self._suggestion_log.path.stat().st_size
        except OSError:
            return []
        if size == self._log_size:
            return []
        records = self._suggestion_log.read()
        changed = []
        for record in records[self._log_lines :]:
            item = self._by_key.get(str(record.get("key")))
            if item is not None:
                item.doubt = float(record.get("doubt", 0.0))
                self._touch(item)
                changed.append(item)
        self._log_size, self._log_lines = size, len(records)
        return changed

    def read_states(self) -> None:
        """Reads the states from the journal; images with a mask of another program are finished."""
        records = self._journal.read()
        for item in self.items:
            item.state = "done" if item.key in self._existing else "none"
        self._finished: set[str] = set()
        for record in records:
            self._apply(record)
        if len(records) > 2 * len(self.items) + 100 and self.writable:
            self._journal.replace([self._record(item) for item in self.items])

    def next_item(self, after: Item | None) -> Item | None:
        """Returns the image to label next.

        Args:
            after: the open image, which is not proposed again.

        Returns:
            The image of the highest doubt. Without suggestions, the one that lies farthest in the list from all images
            that are labeled, since neighbors are often alike, and a network learns more from images that differ.
        """
        waiting = [item for item in self.items if item.state != "done" and item is not after]
        suggested = [item for item in waiting if item.doubt is not None]
        if suggested:
            return max(suggested, key=lambda item: (item.doubt or 0.0, -item.number))
        labeled = [item.number for item in self.items if item.state != "none" or item is after]
        return max(waiting, key=lambda item: (_distance(item.number, labeled), -item.number), default=None)

    def _append(self, record: Record) -> None:
        self._journal.append(record)
        self._apply(record)

    def _apply(self, record: Record) -> None:
        item = self._by_key.get(str(record.get("key")))
        if item is None:  # the image was removed since
            return
        if record.get("state") in ("none", "partly", "done"):
            item.state = record["state"]
            if item.state == "done":
                self._finished.add(item.key)
        item.held_out = bool(record.get("held_out", item.held_out))
        item.dismissed = bool(record.get("dismissed", item.dismissed))
        self._touch(item)

    def _touch(self, item: Item) -> None:
        self.revision += 1
        item.revision = self.revision

    def _was_finished(self, item: Item) -> bool:
        return item.key in self._finished

    def _record(self, item: Item) -> Record:
        return {"key": item.key, "state": item.state, "held_out": item.held_out, "dismissed": item.dismissed}


def _distance(number: int, others: Sequence[int]) -> int:
    """Smallest difference to one of ``others``, which are sorted; 0 if there are none."""
    place = bisect(others, number)
    return min((abs(number - other) for other in others[max(0, place - 1) : place + 1]), default=0)
