"""Fingers and a pen in a page of ``tests.helpers.browser``, by events of the DevTools protocol."""

import itertools

from tests.helpers.mouse import Page, Point

_STEPS = 6  # movements from one point to the next


def fingers(page: Page, *paths: list[Point]) -> None:
    """Puts one finger down at the start of each path, one after the other, moves all along, and lifts them.

    Args:
        page: with touch switched on (``tests.helpers.mouse.resize``).
        paths: of the same length.
    """
    for count in range(1, len(paths) + 1):
        _touch(page, "touchStart", [path[0] for path in paths[:count]])
    for before, after in itertools.pairwise(zip(*paths, strict=True)):
        for step in range(1, _STEPS + 1):
            _touch(page, "touchMove", [_between(a, b, step / _STEPS) for a, b in zip(before, after, strict=True)])
    _touch(page, "touchEnd", [])


def pen(page: Page, points: list[Point]) -> None:
    """Draws with a pen along points."""
    _pen(page, "mousePressed", points[0])
    for before, after in itertools.pairwise(points):
        for step in range(1, _STEPS + 1):
            _pen(page, "mouseMoved", _between(before, after, step / _STEPS))
    _pen(page, "mouseReleased", points[-1])


def _between(before: Point, after: Point, fraction: float) -> Point:
    return before[0] + (after[0] - before[0]) * fraction, before[1] + (after[1] - before[1]) * fraction


def _touch(page: Page, kind: str, points: list[Point]) -> None:
    touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    page.send("Input.dispatchTouchEvent", type=kind, touchPoints=touches)


def _pen(page: Page, kind: str, point: Point) -> None:
    pressed = int(kind != "mouseReleased")
    x, y = point
    page.send(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=pressed, clickCount=1, pointerType="pen"
    )
