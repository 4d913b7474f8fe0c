"""One image that is being labeled: its pixels, its label map, the network's suggestion, and the edits."""

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.io.image import read_image
from experiments.cli.usage import UsageError
from experiments.label.drawn import Drawn
from experiments.label.folder import Item, LabelFolder, State
from experiments.label.history import Edit, History, Rect, checksum, make_edit, part
from experiments.label.label_maps import UNKNOWN, LabelMap, is_own, read_label_map, write_label_map
from experiments.label.scene import Floats, Scene
from experiments.label.shapes import Mask
from experiments.label.suggestions import enlarge, read_suggestion

Image = NDArray[np.uint8]

#: Added to the class numbers that a network suggests, where labels are sent to the page.
SUGGESTED = 100


class OpenImage:
    """An image in memory.

    The label map holds what a person has labeled, and ``UNKNOWN`` elsewhere. Where it is unknown, the suggestion is
    displayed and serves as the state of the class for tools; it becomes part of the map only when the image is
    finished.

    Args:
        folder: the folder.
        item: the image.

    Raises:
        DataError: if the image, or a mask that exists, cannot be read.
    """

    def __init__(self, folder: LabelFolder, item: Item) -> None:
        self._folder, self.item = folder, item
        self.pixels: Image = read_image(item.path)
        self.size = (self.pixels.shape[0], self.pixels.shape[1])
        self.history = History(folder.history_path(item))
        self._drawn = Drawn(self.size)
        self.labels = self._read_labels()
        self.probs: NDArray[np.uint8] | None = None
        self.suggestion: LabelMap | None = None
        self.read_suggestion()

    @property
    def displayed(self) -> LabelMap:
        """The labels, with suggested classes plus ``SUGGESTED`` where nothing is labeled."""
        if self.suggestion is None:
            return self.labels
        suggested = np.where(self.suggestion > 0, self.suggestion + np.uint8(SUGGESTED), np.uint8(UNKNOWN))
        return np.where(self.labels == UNKNOWN, suggested, self.labels)

    @property
    def current(self) -> LabelMap:
        """The labels, the suggestion where nothing is labeled, and background where nothing is suggested."""
        rest = np.zeros_like(self.labels) if self.suggestion is None else self.suggestion
        return np.where(self.labels == UNKNOWN, rest, self.labels)

    def read_suggestion(self) -> None:
        """Reads the suggestion again, after a round of training."""
        probs = None if self.item.dismissed else read_suggestion(self._folder.suggestion_path(self.item))
        if probs is not None and len(probs) != len(self._folder.classes) + 1:
            probs = None  # of a network with other classes
        self.probs = probs
        self.suggestion = None if probs is None else enlarge(probs, self.pixels)

    def scene(self, number: int) -> Scene:
        """What is known of a class. Only what was drawn is certain, not what a stroke has spread to."""
        drawn = self._drawn.after(self.history.done)
        labels = self.labels  # compared directly: np.isin takes ten times as long
        other = (labels != UNKNOWN) & (labels != 0) & (labels != number)
        return Scene(
            image=self.pixels,
            current=self.current == number,
            inside=drawn == number,
            outside=((drawn != UNKNOWN) & (drawn != number)) | other,
            prob=self._prob(number),
        )

    def change(self, draw: Callable[[LabelMap], LabelMap], what: Mapping[str, Any], state: State) -> Rect | None:
        """Applies an edit and writes it: first to the journal, then to the mask.

        Args:
            draw: returns the new label map; it does not change its argument.
            what: the request, for the journal.
            state: state of the image afterwards.

        Returns:
            The rectangle that changed, ``None`` if nothing did.

        Raises:
            OSError: if it cannot be written.
        """
        after = draw(self.labels)
        edit = make_edit(self.labels, after, state_before=self.item.state, state_after=state)
        if edit is None:
            return None
        self.history.add(edit, what, sums=(checksum(self.labels), checksum(after)))
        self._write(after, state)
        return edit.rect

    def undo(self) -> Rect | None:
        """Undoes the last edit and returns the rectangle that changed; ``None`` if there is none."""
        if not self.history.done:
            return None
        edit = self.history.done[-1]
        after = self._with(edit, edit.labels_before())
        self.history.undo(sums=(checksum(self.labels), checksum(after)))
        self._write(after, _state(edit.state_before))
        return edit.rect

    def redo(self) -> Rect | None:
        """Applies the edit again that was undone last; ``None`` if there is none."""
        if not self.history.undone:
            return None
        edit = self.history.undone[-1]
        after = self._with(edit, edit.labels_after())
        self.history.redo(sums=(checksum(self.labels), checksum(after)))
        self._write(after, _state(edit.state_after))
        return edit.rect

    def class_pixels(self, number: int) -> Mask:
        """The pixels of a class, suggested ones included."""
        return np.asarray(self.current == number)

    def _prob(self, number: int) -> Floats | None:
        if self.probs is None:
            return None
        return np.asarray(cv2.resize(self.probs[number], self.size[::-1]).astype(np.float32) / 255)

    def _with(self, edit: Edit, labels: LabelMap) -> LabelMap:
        after = self.labels.copy()
        after[part(edit.rect)] = labels
        return after

    def _read_labels(self) -> LabelMap:
        path = self._folder.existing_mask(self.item)
        if path is None:
            labels: LabelMap = np.full(self.size, UNKNOWN, np.uint8)
        else:
            labels = read_label_map(path, size=self.size, classes=len(self._folder.classes))
        recovered = self.history.recover(labels)
        if recovered is None:  # another program has changed the mask
            if self._folder.writable:
                self.history.clear()
            return labels
        if recovered is not labels and self._folder.writable:  # the process was killed between journal and mask
            self._write(recovered, _state(self.history.state or self.item.state))
        return recovered

    def _write(self, labels: LabelMap, state: State) -> None:
        self._back_up_foreign_masks()
        if state != self.item.state:
            self._folder.set_state(self.item, state)
        write_label_map(self._folder.mask_path(self.item), labels, len(self._folder.classes))
        self.labels = labels
        self._folder.mask_written(self.item)

    def _back_up_foreign_masks(self) -> None:
        """Copies a mask of another program before it is replaced, and moves masks of other formats away."""
        if not self._folder.writable:
            raise UsageError(f"the folder is in use by {self._folder.holder}")
        target = self._folder.mask_path(self.item)
        for path in self._folder.foreign_masks(self.item):
            backup = self._folder.backup_path(path)
            backup.parent.mkdir(parents=True, exist_ok=True)
            path.replace(backup)
        if target.exists() and not is_own(target):
            backup = self._folder.backup_path(target)
            backup.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target, backup)


def _state(text: str) -> State:
    if text == "done":
        return "done"
    return "partly" if text == "partly" else "none"
