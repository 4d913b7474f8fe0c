"""What the page is told of an image: facts, pixels and labels, at a size that a browser can display."""

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from experiments.label.history import Rect
from experiments.label.label_maps import LabelMap
from experiments.label.open_image import OpenImage

#: Longest side of an image on the page; larger ones are reduced, their labels too. Edits have full size.
MAX_VIEW = 4096
_JPEG_QUALITY = 92


def facts(image: OpenImage) -> dict[str, Any]:
    """Name, size, state and what can be undone."""
    height, width = image.size
    return {
        "number": image.item.number,
        "name": image.item.name,
        "width": width,
        "height": height,
        "view": view_size(height, width),
        "state": image.item.state,
        "undo": len(image.history.done),
        "redo": len(image.history.undone),
        "suggested": image.suggestion is not None,
        "dismissed": image.item.dismissed,
    }


def patch(image: OpenImage, rect: Rect | None) -> dict[str, Any]:
    """The labels of the changed rectangle, at the size of the view."""
    if rect is None or rect[0] == rect[1]:
        return {"patch": None}
    height, width = image.size
    view_width, view_height = view_size(height, width)
    view = reduced(image.displayed)
    top, left = rect[0] * view_height // height, rect[2] * view_width // width
    bottom, right = -(-rect[1] * view_height // height), -(-rect[3] * view_width // width)
    data = base64.b64encode(png(view[top:bottom, left:right])).decode()
    return {"patch": {"x": left, "y": top, "width": right - left, "height": bottom - top, "png": data}}


def view_size(height: int, width: int) -> tuple[int, int]:
    """Width and height of an image on the page."""
    scale = min(1.0, MAX_VIEW / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def reduced(labels: LabelMap) -> LabelMap:
    """Returns labels at the size of the view."""
    size = view_size(labels.shape[0], labels.shape[1])
    if size == (labels.shape[1], labels.shape[0]):
        return labels
    return np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def png(labels: LabelMap) -> bytes:
    """Encodes labels as gray PNG."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(labels), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise RuntimeError("OpenCV could not encode a PNG")
    return data.tobytes()


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encodes an image ``(H, W, 3)`` at the size of the view."""
    view = cv2.resize(pixels, view_size(pixels.shape[0], pixels.shape[1]), interpolation=cv2.INTER_AREA)
    colors = cv2.cvtColor(view, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", colors, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()
