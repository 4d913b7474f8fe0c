"""Turns the requests of the page into edits of an open image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.label.folder import State
from experiments.label.history import Rect
from experiments.label.label_maps import UNKNOWN, LabelMap
from experiments.label.open_image import OpenImage
from experiments.label.shapes import Mask, Point, holes, island_at, polygon_pixels, stroke_pixels
from experiments.label.snapping import snap

TOOLS = ("brush", "polygon", "island", "holes", "finish", "undo", "redo")
MAX_POINTS = 20_000
_MAX_RADIUS = 5000.0


class RequestError(ValueError):
    """A request of the page that cannot be carried out; the message gives the reason."""


def apply_tool(image: OpenImage, request: Mapping[str, Any], *, classes: int) -> Rect | None:
    """Applies one tool.

    Args:
        image: the open image.
        request: ``tool``, one of ``TOOLS``; ``class``, from 1; ``points``, ``[[x, y], ...]`` in pixels of the image;
            ``radius`` in pixels; ``erase``; ``snap``.
        classes: number of classes.

    Returns:
        The rectangle that changed; ``None`` if nothing did.

    Raises:
        RequestError: if the request is malformed.
        OSError: if the edit cannot be written.
    """
    tool = request.get("tool")
    if tool not in TOOLS:
        raise RequestError(f"tool must be one of {', '.join(TOOLS)}")
    if tool == "undo":
        return image.undo()
    if tool == "redo":
        return image.redo()
    if tool == "finish":
        return image.change(lambda labels: np.where(labels == UNKNOWN, image.current, labels), request, "done")
    number, erase = _class_number(request, classes), request.get("erase") is True
    state: State = "done" if image.item.state == "done" else "partly"
    if tool == "brush":
        points, radius = _points(request), _radius(request)
        stroke = stroke_pixels(image.size, points, radius)
        if not stroke.any():
            return None
        drawn = stroke
        if request.get("snap") is True:
            return image.change(lambda labels: _snapped(labels, image, stroke, number, radius, erase), request, state)
    elif tool == "polygon":
        drawn = polygon_pixels(image.size, _points(request, least=3))
    elif tool == "island":
        pixels = image.class_pixels(number)
        drawn, erase = island_at(pixels, _points(request)[0]), True
    else:
        drawn, erase = holes(image.class_pixels(number)), False
    return image.change(lambda labels: _painted(labels, drawn, number, erase), request, state)


def _painted(labels: LabelMap, drawn: Mask, number: int, erase: bool) -> LabelMap:
    painted = labels.copy()
    painted[drawn] = 0 if erase else number
    return painted


def _snapped(labels: LabelMap, image: OpenImage, stroke: Mask, number: int, radius: float, erase: bool) -> LabelMap:
    scene = image.scene(number)
    after = snap(scene, stroke, radius=radius, add=not erase)
    painted = labels.copy()
    if erase:
        painted[(scene.current & ~after) | stroke] = 0
    else:
        added = after & ~scene.current & ~(scene.outside & ~stroke)
        painted[added | stroke] = number
    return painted


def _class_number(request: Mapping[str, Any], classes: int) -> int:
    number = request.get("class")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= classes:
        raise RequestError(f"class must be a number from 1 to {classes}")
    return number


def _radius(request: Mapping[str, Any]) -> float:
    radius = request.get("radius")
    if not isinstance(radius, int | float) or isinstance(radius, bool) or not 0 < radius <= _MAX_RADIUS:
        raise RequestError(f"radius must be a number above 0 and at most {_MAX_RADIUS:g}")
    return float(radius)


def _points(request: Mapping[str, Any], least: int = 1) -> Sequence[Point]:
    given = request.get("points")
    if not isinstance(given, list) or not least <= len(given) <= MAX_POINTS:
        raise RequestError(f"points must be a list of {least} to {MAX_POINTS} points")
    points: list[Point] = []
    for point in given:
        if not isinstance(point, list) or len(point) != 2 or not all(_is_coordinate(value) for value in point):
            raise RequestError("every point must be two numbers, x and y, between -100000 and 100000")
        points.append((float(point[0]), float(point[1])))
    return points


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -100_000 <= value <= 100_000
