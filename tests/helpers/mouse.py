"""Real mouse and key events in a page of ``tests.helpers.browser``, and screenshots of it."""

import base64
import itertools
from pathlib import Path
from typing import Protocol

Point = tuple[float, float]
_PRESSED = {"none": 0, "left": 1, "right": 2}
_STEPS = 6  # movements from one point of a drag to the next


class Page(Protocol):
    """What is used of a browser."""

    def send(self, method: str, **params: object) -> dict[str, object]:
        """Calls a method of the DevTools protocol."""

    def evaluate(self, expression: str) -> object:
        """Evaluates JavaScript."""


def resize(page: Page, width: int, height: int, *, touch: bool = False) -> None:
    """Sets the size of the page in pixels."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    page.send("Emulation.setDeviceMetricsOverride", **metrics)
    page.send("Emulation.setTouchEmulationEnabled", enabled=touch)


def drag(page: Page, points: list[Point], button: str = "left") -> None:
    """Presses a mouse button at the first point, moves along the others, and releases it."""
    _mouse(page, "mouseMoved", points[0], "none")
    _mouse(page, "mousePressed", points[0], button)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        for step in range(1, _STEPS + 1):
            _mouse(page, "mouseMoved", (x0 + (x1 - x0) * step / _STEPS, y0 + (y1 - y0) * step / _STEPS), button)
    _mouse(page, "mouseReleased", points[-1], button)


def click(page: Page, selector: str) -> None:
    """Clicks on the middle of an element."""
    left, top, width, height = box_of(page, selector)
    drag(page, [(left + width / 2, top + height / 2)])


def box_of(page: Page, selector: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of an element, in pixels of the page."""
    box = page.evaluate(
        f"(box => [box.x, box.y, box.width, box.height])(document.querySelector({selector!r}).getBoundingClientRect())"
    )
    assert isinstance(box, list)
    left, top, width, height = box
    return left, top, width, height


def press(page: Page, key: str, *, control: bool = False, shift: bool = False) -> None:
    """Presses and releases a key, such as ``"Enter"`` or ``"b"``."""
    text = {"Enter": "\r"}.get(key, key if len(key) == 1 and not control else "")
    modifiers = 2 * control + 8 * shift
    page.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, modifiers=modifiers)
    page.send("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=modifiers)


def screenshot(page: Page, path: Path) -> None:
    """Saves the visible part of the page as PNG."""
    path.write_bytes(base64.b64decode(str(page.send("Page.captureScreenshot", format="png")["data"])))


def _mouse(page: Page, kind: str, point: Point, button: str) -> None:
    pressed = 0 if kind == "mouseReleased" else _PRESSED[button]
    x, y = point
    page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=pressed, clickCount=1)
