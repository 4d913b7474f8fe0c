"""Measures the peak memory of ``predict`` for a large image, and the visibility of seams between tiles.

    python -m experiments.benchmarks.predict_memory CHECKPOINT [--size 4000x3000] [--precision bf16-mixed]

The image is a mosaic of scikit-image's samples with noise, processed by the real command. Memory is the sum over all
processes of the command, shared pages counted once (PSS, Linux only). Seams are measured on a smaller part of the
image: the largest difference between tiled inference and inference on the whole part.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from callbacks.output_file import save_jpeg
from datamodules.io.resize import resize_to
from datamodules.io.tensors import image_tensor
from experiments.runs.trained_module import trained_module
from lightning_modules.super_resolution import SuperResolutionModule

SEAMS = 900, 1200  # height and width of the part that is also processed whole, which takes a few GB
_INTERVAL = 0.2  # seconds between two samples


def main(argv: Sequence[str]) -> int:
    """Prints both measurements."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.predict_memory", description="Memory of predict.")
    parser.add_argument("checkpoint", type=Path, help="of super-resolution")
    parser.add_argument("--size", default="4000x3000", help="width x height of the image")
    parser.add_argument("--precision", default="32-true", help="as --trainer.precision")
    options = parser.parse_args(argv)
    width, height = (int(side) for side in options.size.split("x"))
    image = test_image(height, width)
    with tempfile.TemporaryDirectory() as folder:
        save_jpeg(Path(folder, "image.jpg"), image)
        run = [sys.executable, str(Path(__file__).parents[1] / "run.py"), "--task", "sr", "predict"]
        flags = ["--ckpt_path", str(options.checkpoint.absolute()), "--trainer.precision", options.precision]
        start = time.monotonic()
        peak = peak_memory([*run, str(Path(folder, "image.jpg")), *flags, "--out", str(Path(folder, "out"))])
    print(f"{width} x {height}, {options.precision}: {peak:.2f} GB at most, {time.monotonic() - start:.0f} s")
    print(f"seams: {seams(options.checkpoint, image[: SEAMS[0], : SEAMS[1]], options.precision):.4f} gray levels")
    return 0


def test_image(height: int, width: int) -> NDArray[np.uint8]:
    """A mosaic of sample images enlarged to 1000 px, with noise of 4 gray levels, (height, width, 3)."""
    from skimage import data

    names = ("astronaut", "chelsea", "coffee")
    tiles = [resize_to(getattr(data, name)(), 1000, 1000) for name in names]
    rows, columns = -(-height // 1000), -(-width // 1000)
    lines = [np.hstack([tiles[(row + column) % 3] for column in range(columns)]) for row in range(rows)]
    whole = np.vstack(lines)[:height, :width]
    noise = np.random.default_rng(0).normal(0, 4, whole.shape)
    return np.asarray((whole + noise).round().clip(0, 255), dtype=np.uint8)


def peak_memory(command: Sequence[str]) -> float:
    """Runs a command and returns the peak memory of its processes together, in GB of 10^9 bytes.

    Raises:
        RuntimeError: if it fails.
    """
    process, peak = subprocess.Popen(command), 0
    while process.poll() is None:
        peak = max(peak, sum(_memory(pid) for pid in _process_tree(process.pid)))
        time.sleep(_INTERVAL)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return peak / 1e9


@torch.no_grad()
def seams(checkpoint: Path, image: NDArray[np.uint8], precision: str) -> float:
    """The largest difference in gray levels between tiled inference and inference on the whole image."""
    module, pixels = trained_module("sr", checkpoint, SuperResolutionModule), image_tensor(image)[None]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision.startswith("bf16")):
        tiled, whole = module(pixels), module.net(pixels).float()
    return float((tiled.clamp(0, 1) - whole.clamp(0, 1)).abs().max() * 255)


def _process_tree(pid: int) -> Iterator[int]:
    """A process and its running descendants."""
    yield pid
    for line in _read(f"/proc/{pid}/task/{pid}/children").split():
        yield from _process_tree(int(line))


def _memory(pid: int) -> int:
    """Proportional set size of a process in bytes."""
    lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:  # the process has ended
        return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
