"""What the server knows: the folder, the images in memory, and which page may edit."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from experiments.label.folder import Item, LabelFolder
from experiments.label.history import Rect
from experiments.label.open_image import OpenImage
from experiments.label.tools import apply_tool

#: Images in memory, so that it stays the same however many are labeled.
_IN_MEMORY = 3
#: Seconds without a sign of life after which another page may edit.
PATIENCE = 10.0


class ReadOnlyError(Exception):
    """The page may look and not edit; the message names who holds the folder."""


class Session:
    """Serializes access to a folder.

    Args:
        folder: entered; read-only if another process holds it.
    """

    def __init__(self, folder: LabelFolder) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._open: OrderedDict[int, OpenImage] = OrderedDict()
        self._page: tuple[str, float] | None = None

    def item(self, number: int) -> Item:
        """Returns the image of a number.

        Raises:
            LookupError: if there is none.
        """
        if not 0 <= number < len(self.folder.items):
            raise LookupError(f"there is no image {number}")
        return self.folder.items[number]

    def hold(self, page: str) -> str | None:
        """Lets a page edit if no other does; called again and again by every page.

        Args:
            page: the name that the page gave itself.

        Returns:
            ``None`` if the page may edit, else who holds the folder.
        """
        with self._lock:
            if not self.folder.writable:
                return self.folder.holder or "another process"
            if self._page is not None and self._page[0] != page and time.monotonic() - self._page[1] < PATIENCE:
                return "another tab or window of this browser"
            self._page = (page, time.monotonic())
            return None

    def leave(self, page: str) -> None:
        """Lets another page edit at once."""
        with self._lock:
            if self._page is not None and self._page[0] == page:
                self._page = None

    def require_hold(self, page: object) -> None:
        """Checks that a page may edit.

        Raises:
            ReadOnlyError: if it may not.
        """
        if not isinstance(page, str) or not 8 <= len(page) <= 64:
            raise ReadOnlyError("this request does not name its page")
        holder = self.hold(page)
        if holder is not None:
            raise ReadOnlyError(f"the folder is in use by {holder}; this page is read-only")

    def open(self, number: int) -> OpenImage:
        """Returns an image, decoded if it is not in memory.

        Raises:
            LookupError: if there is none.
            DataError: if it cannot be read.
        """
        with self._lock:
            item = self.item(number)
            if number not in self._open or not self.folder.writable:  # another process may have changed it
                self._open[number] = OpenImage(self.folder, item)
            self._open.move_to_end(number)
            while len(self._open) > _IN_MEMORY:
                self._open.popitem(last=False)
            return self._open[number]

    def edit(self, number: int, request: Mapping[str, Any]) -> tuple[OpenImage, Rect | None]:
        """Applies a tool to an image.

        Raises:
            ReadOnlyError: if the page may not edit.
            RequestError: if the request is malformed.
            LookupError: if there is no such image.
            DataError: if it cannot be read.
            OSError: if the edit cannot be written.
        """
        with self._lock:
            self.require_hold(request.get("page"))
            image = self.open(number)
            what = {key: value for key, value in request.items() if key != "page"}
            return image, apply_tool(image, what, classes=len(self.folder.classes))

    def dismiss(self, number: int, dismissed: bool) -> OpenImage:
        """Refuses the suggestion of an image, or takes it back."""
        with self._lock:
            image = self.open(number)
            self.folder.set_dismissed(image.item, dismissed)
            image.read_suggestion()
            return image

    def refresh(self) -> None:
        """Reads the doubts of new suggestions, and in a read-only session what the other process has written."""
        with self._lock:
            if not self.folder.writable:
                self.folder.read_states()
            for item in self.folder.read_suggestion_log():
                if item.number in self._open:
                    self._open[item.number].read_suggestion()
