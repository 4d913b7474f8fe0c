"""The page's resizing, matting, tiling and PNG files, run by Node.js, agree with those of ``predict``."""

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor

from callbacks.prediction.matting import (
    argmax_classes,
    composite,
    draw_overlay,
    make_cutout,
    resize_probability,
    resize_to_cover,
    soft_alpha,
)
from datamodules.io.resize import resize_to
from experiments.export.page import files
from models.tiled_inference import tiled_inference
from tests.helpers.tiny_images import noise

NODE = shutil.which("node")
SCRIPTS = ("failure.js", "resize.js", "read.js", "png.js", "tiles.js", "matting.js")
HEIGHT, WIDTH, SIDE = 133, 201, 32
COLORS = np.array([[0, 200, 160], [230, 159, 0], [86, 180, 233]], np.uint8)

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node")
Run = Callable[..., NDArray[np.float64]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Evaluates an expression in which the keyword arguments are known as arrays, and returns a flat array."""

    def evaluate(expression: str, **values: NDArray[Any]) -> NDArray[np.float64]:
        (tmp_path / "in.json").write_text(json.dumps({name: value.ravel().tolist() for name, value in values.items()}))
        source = "\n".join(files("experiments.export").joinpath("page", name).read_text("utf-8") for name in SCRIPTS)
        source += f"""
            const fs = require("fs");
            const given = JSON.parse(fs.readFileSync("in.json"));
            const [width, height, side] = [{WIDTH}, {HEIGHT}, {SIDE}];
            (async () => fs.writeFileSync("out.json", JSON.stringify(Array.from(await ({expression})))))();
        """
        (tmp_path / "run.js").write_text(source, encoding="utf-8")
        subprocess.run([str(NODE), "run.js"], cwd=tmp_path, check=True)
        return np.array(json.loads((tmp_path / "out.json").read_text()), np.float64)

    return evaluate


def rgba(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])


def blobs(seed: int) -> NDArray[np.float32]:
    """(SIDE, SIDE) smooth probabilities from 0 to 1."""
    rough = np.random.default_rng(seed).random((SIDE, SIDE), np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 3)
    return np.asarray((smooth - smooth.min()) / (smooth.max() - smooth.min()), np.float32)


@pytest.mark.parametrize("size", [(64, 64), (200, 64), (64, 300), (150, 250)])
def test_images_are_resized_as_for_predict(run: Run, size: tuple[int, int]) -> None:
    image = noise(1, HEIGHT, WIDTH)
    whole = "{ pixels: Uint8ClampedArray.from(given.image), width, height, channels: 3 }"
    ours = run(f"resizeImage({whole}, {size[1]}, {size[0]}).pixels", image=image)
    assert abs(ours.reshape(*size, 3) - resize_to(image, *size)).max() <= 1


def test_cutouts_and_composites(run: Run) -> None:
    image, prob, behind = noise(2, HEIGHT, WIDTH), blobs(3), noise(4, 50, 40)
    alpha = soft_alpha(resize_probability(prob, (HEIGHT, WIDTH)), magnification=WIDTH / SIDE, threshold=0.4)
    expected = make_cutout(image, alpha)
    cut = """makeCutout({ pixels: given.image, width, height },
        softAlpha(Float32Array.from(given.prob), side, [0], width, height, 0.4, 2))"""
    ours = run(cut, image=rgba(image), prob=prob).reshape(HEIGHT, WIDTH, 4)
    assert abs(ours[..., 3] - expected[..., 3]).max() <= 1
    visible = expected[..., 3] > 0
    assert 0.1 < visible.mean() < 0.99
    assert abs(ours[visible] - expected[visible]).max() <= 1

    covering = resize_to_cover(behind, (HEIGHT, WIDTH))
    cover = "resizeToCover({ pixels: given.behind, width: 40, height: 50, channels: 4 }, width, height)"
    np.testing.assert_allclose(run(cover, behind=rgba(behind)).reshape(HEIGHT, WIDTH, 4)[..., :3], covering, atol=1)
    mixed = run("composite(given.cutout, given.covering, 3)", cutout=expected, covering=covering)
    np.testing.assert_array_equal(mixed.reshape(HEIGHT, WIDTH, 3), composite(expected, covering))


def test_classes_and_overlays(run: Run) -> None:
    image, probs = noise(5, HEIGHT, WIDTH), np.stack([blobs(seed) for seed in (6, 7, 8)])
    classes = argmax_classes(probs, (HEIGHT, WIDTH))
    decide = "decideClasses(Float32Array.from(given.probs), side, 3, width, height, 0.5)"
    ours = run(decide, probs=probs).reshape(HEIGHT, WIDTH)
    assert (ours == classes).mean() > 0.9995  # ties in float32
    assert set(np.unique(classes)) == {0, 1, 2}
    draw = """drawOverlay({ pixels: given.image, width, height }, Uint8Array.from(given.classes),
        (number) => [0, 1, 2].map((c) => given.colors[number * 3 + c]), PLAIN, 0.4)"""
    for plain in (-1, 0):
        expected = draw_overlay(image, classes, COLORS, background=None if plain < 0 else plain)
        drawn = run(draw.replace("PLAIN", str(plain)), image=rgba(image), classes=classes, colors=COLORS)
        assert abs(drawn.reshape(HEIGHT, WIDTH, 3) - expected).max() <= 1


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA"), (1, "P")])
def test_png_files_hold_pixels_palette_and_profile(run: Run, channels: int, mode: str) -> None:
    pixels = np.random.default_rng(1).integers(0, len(COLORS) if mode == "P" else 256, (HEIGHT, WIDTH, channels))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = f"width, height, channels: {channels}, profile: Uint8Array.from(given.profile)"
    options += f", palette: {COLORS.tolist()}" if mode == "P" else ""
    encode = f"encodePng(Uint8Array.from(given.pixels), {{ {options} }})"
    values = {"pixels": pixels, "profile": np.frombuffer(profile, np.uint8)}
    content = run(f"(async () => new Uint8Array(await (await {encode}).arrayBuffer()))()", **values)
    image = Image.open(io.BytesIO(content.astype(np.uint8).tobytes()))
    assert (image.mode, image.info["icc_profile"]) == (mode, profile)
    np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)
    if mode == "P":
        assert image.getpalette() == COLORS.ravel().tolist()


@pytest.mark.parametrize(("tile", "overlap", "multiple", "scale"), [(64, 24, 1, 1), (64, 24, 4, 2), (48, 40, 4, 1)])
def test_tiles_are_placed_and_blended_alike(run: Run, tile: int, overlap: int, multiple: int, scale: int) -> None:
    """The result of a tile is its mean, so that every difference of position or weight shows."""

    def net(part: Tensor) -> Tensor:
        colors = part.mean() * torch.tensor([1, 0.5, 0.25]).view(1, 3, 1, 1)
        return colors.expand(1, 3, part.shape[2] * scale, part.shape[3] * scale)

    image = noise(9, HEIGHT, WIDTH)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    tiling = {"tile": tile, "overlap": overlap, "multiple": multiple, "scale": scale}
    expected = tiled_inference(net, batch, **tiling)[0].permute(1, 2, 0).mul(255).numpy()
    ours = run(
        """(async () => {
            const mean = (left, top, w, h) => {
              const rows = Array.from({ length: h }, (_, y) => (top + y) * width + left);
              const values = rows.flatMap((start) => given.image.slice(start * 3, (start + w) * 3));
              return values.reduce((sum, value) => sum + value / 255, 0) / values.length;
            };
            const tiling = JSON.parse('TILING');
            const size = tiling.scale ** 2;
            const out = [];
            await tiledInference({ width, height }, tiling, async (x, y, w, h) => {
              const gray = mean(x, y, w, h);
              const plane = (share) => new Array(w * h * size).fill(gray * share);
              return Float32Array.from([1, 0.5, 0.25].flatMap(plane));
            }, async (rows) => { for (const value of rows) out.push(value); });
            return out;
        })()""".replace("TILING", json.dumps(tiling)),
        image=image,
    )
    assert abs(ours.reshape(HEIGHT * scale, WIDTH * scale, 3) - expected).max() <= 0.51
