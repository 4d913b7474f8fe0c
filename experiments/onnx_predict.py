"""Applies an ONNX export to images with numpy, pillow and onnxruntime alone: copy this file beside the export.

python onnx_predict.py network.onnx image.jpg more/*.png --out results

Writes ``mask/NAME.png`` for segmentation and ``result/NAME.png`` for all else, as ``predict`` does: 8 bits, upright,
gray if the image is. Alpha, color profile and EXIF are not kept.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps


def main() -> None:
    """Reads the command line and writes one file per image."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", help="file that export --format onnx wrote")
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the results")
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(options.network)
    about = session.get_modelmeta().custom_metadata_map
    apply, kind = (segment, "mask") if about["task"] == "segment" else (restore, "result")
    (options.out / kind).mkdir(parents=True, exist_ok=True)
    for path in options.images:
        apply(session, about, Image.open(path)).save(target := options.out / kind / f"{path.stem}.png")
        print(target)


def segment(session: onnxruntime.InferenceSession, about: dict[str, str], image: Image.Image) -> Image.Image:
    """Returns the mask: 0 and 255 for one class, class numbers with a palette for several."""
    side, whole = int(about["size"]), about.get("keeps_proportions") == "true"
    width, height = image.size if image.getexif().get(0x0112, 1) < 5 else image.size[::-1]  # 5 to 8: on its side
    part = next((d for d in (8, 4, 2) if all(s % d == 0 and s // d >= side for s in image.size)), 1)
    image.draft(None, (image.width // part, image.height // part))  # decodes a JPEG at a fraction of its size
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    shorter = max(min(width, height), side)  # with proportions kept, a smaller image keeps its size
    shape = (round(height * side / shorter), round(width * side / shorter)) if whole else (side, side)
    rows, columns = weights(image.height, shape[0]), weights(image.width, shape[1])
    pixels = np.einsum("yh,hwc,xw->yxc", rows, np.asarray(image.convert("RGB"), np.float32), columns, optimize=True)
    probs = run(session, np.floor(pixels + 0.5).clip(0, 255))
    full = [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR)) for one in probs]
    if len(full) == 1:
        return Image.fromarray(np.uint8(full[0] >= float(about["threshold"])) * 255)
    mask = Image.fromarray(np.argmax(full, 0).astype(np.uint8))
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


def run(session: onnxruntime.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    """Maps (H, W, 3) in gray levels to (C, H, W); the graph takes bytes, or floats in [0, 1]."""
    floats = session.get_inputs()[0].type != "tensor(uint8)"
    images = np.asarray(pixels.transpose(2, 0, 1), np.float32) / 255 if floats else pixels.astype(np.uint8)
    return np.asarray(session.run(None, {"images": images[None]})[0][0])


def weights(length: int, size: int) -> np.ndarray:
    """Returns the weights (size, length) that resize an axis as OpenCV: INTER_AREA, or INTER_CUBIC if it grows."""
    if size <= length:
        edges = np.clip(np.arange(size + 1)[:, None] * length / size - np.arange(length), 0, 1)  # covered up to each
        return np.asarray(np.diff(edges, axis=0) * size / length, np.float32)
    x = abs((np.arange(size)[:, None] + 0.5) * length / size - 0.5 - np.arange(-2, length + 2))
    taps = np.where(x <= 1, 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)) * (x < 2)
    border = np.arange(-2, length + 2).clip(0, length - 1)  # the pixels at the border stand for those beyond it
    return np.asarray(taps @ np.eye(length)[border], np.float32)


if __name__ == "__main__":
    main()
