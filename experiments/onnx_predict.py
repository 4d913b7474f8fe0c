"""Applies an ONNX export to images with numpy, pillow and onnxruntime alone: copy this file beside the export.

python onnx_predict.py network.onnx image.jpg more/*.png --out results

Writes ``mask/NAME.png`` for segmentation and ``result/NAME.png`` for all else, as ``predict`` does: 8 bits, upright,
gray if the image is. Alpha, color profile and EXIF are not kept.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

Array = np.ndarray[Any, Any]


def main() -> None:
    """Reads the command line and writes one file per image."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path, help="file that export --format onnx wrote")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results")
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(str(options.network))
    about = session.get_modelmeta().custom_metadata_map
    for path in options.images:
        apply = segment if about["task"] == "segment" else restore
        target = options.out / ("mask" if about["task"] == "segment" else "result") / f"{path.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            apply(session, about, image).save(target)
        print(target)


def segment(session: onnxruntime.InferenceSession, about: dict[str, str], image: Image.Image) -> Image.Image:
    """Returns the mask: 0 and 255 for one class, class numbers with a palette for several."""
    side, (width, height) = int(about["size"]), image.size
    if fits := [d for d in (8, 4, 2) if all(s % d == 0 and s // d >= side for s in image.size)]:
        image.draft(None, (width // fits[0], height // fits[0]))  # decodes a JPEG at a fraction of its size
    if image.getexif().get(0x0112, 1) >= 5:  # EXIF orientation: width and height are swapped
        width, height = height, width
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    pixels = np.asarray(image.convert("RGB"), np.float32)
    shape = (side, side)
    if about.get("keeps_proportions") == "true":
        shorter = min(width, height)
        larger = shorter > side  # a smaller image keeps its size
        shape = (round(height * side / shorter), round(width * side / shorter)) if larger else (height, width)
    for matrix in (area, cubic):  # area averages where a side shrinks, then cubic interpolation where it grows
        pixels = np.floor(resize(pixels, *shape, matrix) + 0.5).clip(0, 255)
    probs = run(session, pixels)
    probs = resize(probs.transpose(1, 2, 0), height, width, linear)
    if probs.shape[2] == 1:
        return Image.fromarray(np.uint8(probs[..., 0] >= float(about["threshold"])) * 255)
    mask = Image.fromarray(probs.argmax(2).astype(np.uint8))
    mask.putpalette(json.loads(about["palette"]))
    return mask


def restore(session: onnxruntime.InferenceSession, about: dict[str, str], image: Image.Image) -> Image.Image:
    """Returns the enlarged, restored or stylized image, computed in tiles that overlap by twice the margin."""
    image, gray = ImageOps.exif_transpose(image), image.mode in ("1", "L")
    pixels = np.asarray(image.convert("RGBA").convert("RGB") if image.has_transparency_data else image.convert("RGB"))
    (height, width, _), scale = pixels.shape, int(about["scale"])
    tile, margin = int(about.get("tile", max(height, width))), int(about.get("margin", 0))
    out = np.empty((height * scale, width * scale, 3), np.uint8)
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            top, left = max(y - margin, 0), max(x - margin, 0)
            result = run(session, pixels[top : y + tile + margin, left : x + tile + margin])
            inner = result[:, (y - top) * scale :, (x - left) * scale :][:, : tile * scale, : tile * scale]
            out[y * scale :, x * scale :][: tile * scale, : tile * scale] = np.rint(inner.transpose(1, 2, 0) * 255)
    return Image.fromarray(np.rint(out.mean(2)).astype(np.uint8) if gray else out)


def run(session: onnxruntime.InferenceSession, pixels: Array) -> Array:
    """Maps (H, W, 3) in gray levels to (C, H, W); the graph takes bytes, or floats in [0, 1]."""
    if session.get_inputs()[0].type == "tensor(uint8)":
        return np.asarray(session.run(None, {"images": pixels[None].astype(np.uint8)})[0][0])
    return np.asarray(session.run(None, {"images": np.float32(pixels.transpose(2, 0, 1)[None]) / 255})[0][0])


def resize(pixels: Array, height: int, width: int, matrix: Any) -> Array:
    """Resizes (H, W, C) to (height, width, C) by one matrix of weights per axis."""
    rows = np.tensordot(matrix(pixels.shape[0], height), pixels, (1, 0))
    return np.tensordot(matrix(pixels.shape[1], width), rows, (1, 1)).transpose(1, 0, 2)


def area(length: int, size: int) -> Array:
    """Averages over the area of each new pixel, as OpenCV's INTER_AREA; the identity where the side does not shrink."""
    if size >= length:
        return np.eye(length, dtype=np.float32)
    edges = np.clip(np.arange(size + 1)[:, None] * length / size - np.arange(length), 0, 1)  # covered up to each edge
    return np.diff(edges, axis=0).astype(np.float32) * size / length


def cubic(length: int, size: int) -> Array:
    """Cubic interpolation with a = -0.75, as OpenCV's INTER_CUBIC; the identity where the side has its size."""
    if size == length:
        return np.eye(length, dtype=np.float32)
    matrix, a = np.zeros((size, length), np.float32), -0.75
    center = (np.arange(size) + 0.5) * length / size - 0.5
    for tap in range(-1, 3):
        place = np.floor(center) + tap
        x = abs(center - place)
        weight = np.where(x <= 1, (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4))
        np.add.at(matrix, (np.arange(size), place.clip(0, length - 1).astype(int)), weight)
    return matrix


def linear(length: int, size: int) -> Array:
    """Linear interpolation, with a wider filter where the side shrinks, as torch's bilinear with antialias."""
    step = length / size
    center = (np.arange(size)[:, None] + 0.5) * step
    weights = (1 - abs(center - np.arange(length) - 0.5) / max(step, 1)).clip(0)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


if __name__ == "__main__":
    main()
