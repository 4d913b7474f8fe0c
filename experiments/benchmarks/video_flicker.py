"""Measures the flicker of a stylized video with a moving camera, with and without ``--smooth``.

    python -m experiments.benchmarks.video_flicker [--net styles] [--style starry_night] [--frames 24] [--amount 0.8]

The video is made from an image (scikit-image's astronaut): the camera moves by a constant fraction of a pixel per
frame, and every frame has its own noise. So the true motion is known, and flicker is measured with it, not with the
optical flow that the smoothing estimates: the mean absolute difference between a result and the previous result moved
along the true motion, in gray levels of 255, over the pixels visible in both frames.

``in place`` is the smoothing without optical flow: each result is averaged with the previous one where the video is
static, as ``--smooth`` did before it followed motion. Detail is the mean absolute Laplacian relative to that of the
unsmoothed results: below 1 the smoothing blurs.

Exit codes: 0 if the flicker is at most half of that of smoothing in place, 1 otherwise.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import mean

import cv2
import numpy as np
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image

from callbacks.prediction.motion import warp
from callbacks.prediction.temporal_smoothing import TemporalSmoother, stillness
from experiments.inference.loading import load

Frame = NDArray[np.uint8]
Smooth = Callable[[Frame, Frame], Frame]

SIZE = 288, 384  # height and width of the video
SHIFT = 3.3, 1.4  # pixels per frame by which the camera moves right and down
NOISE = 2.0  # standard deviation in gray levels
GOAL = 0.5
_MARGIN = 8  # pixels at the border that are not measured: the networks see their own padding there


class InPlace:
    """Smooths over time without optical flow: static pixels only.

    Args:
        amount: weight of the previous results.
    """

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._previous: tuple[Frame, NDArray[np.float32]] | None = None

    def __call__(self, source: Frame, result: Frame) -> Frame:
        """Smooths the next frame; arguments as of ``TemporalSmoother``."""
        current = result.astype(np.float32)
        if self._previous is not None:
            weight = (self.amount * stillness(source, self._previous[0]))[..., None]
            current += weight * (self._previous[1] - current)
        self._previous = source, current
        return current.round().astype(np.uint8)


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.video_flicker", description="Flicker with --smooth.")
    parser.add_argument("--net", default="styles", help="a checkpoint of style, or the name of a network that ships")
    parser.add_argument("--style", help="of a network of many styles; by default starry_night of the network styles")
    parser.add_argument("--frames", type=int, default=24, help="number of frames")
    parser.add_argument("--amount", type=float, default=0.8, help="as --smooth")
    parser.add_argument("--precision", default="32-true", help="as --trainer.precision")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    style = options.style or ("starry_night" if options.net == "styles" else None)
    predictor = load(options.net, style=style, precision=options.precision, device="cpu")
    sources = list(video(skimage.data.astronaut(), frames=options.frames))
    start = time.process_time()
    made = [np.asarray(predictor(Image.fromarray(source))) for source in sources]
    print(f"{len(sources)} frames of {SIZE[1]} x {SIZE[0]} px, {SHIFT} px per frame, torch {torch.__version__}")
    print(f"the video itself: {flicker(sources):.2f} gray levels; network: {_each(start, made):.0f} ms per frame")
    print(f"{'':20}{'flicker':>9}{'detail':>9}{'ms per frame':>14}")
    sharp, found = detail(made), {}
    forms: dict[str, Smooth | None] = {
        "no smoothing": None,
        "in place": InPlace(options.amount),
        "along the motion": TemporalSmoother(options.amount),
    }
    for name, smooth in forms.items():
        start = time.process_time()
        results = made if smooth is None else [smooth(*pair) for pair in zip(sources, made, strict=True)]
        taken = _each(start, results)
        found[name] = flicker(results)
        print(f"{name:20}{found[name]:9.2f}{detail(results) / sharp:9.2f}{taken:14.0f}")
    ratio = found["along the motion"] / found["in place"]
    print(f"along the motion / in place: {ratio:.2f} (goal: at most {GOAL})")
    return 0 if ratio <= GOAL else 1


def video(
    image: Frame, *, frames: int, size: tuple[int, int] = SIZE, shift: tuple[float, float] = SHIFT
) -> Iterator[Frame]:
    """Yields the frames of a camera that moves over an image.

    Args:
        image: (H, W, 3).
        frames: their number.
        size: height and width of a frame.
        shift: pixels to the right and down per frame.

    Raises:
        ValueError: if the camera would leave the image.
    """
    height, width = size
    ends = (width + shift[0] * (frames - 1), height + shift[1] * (frames - 1))
    if ends[0] > image.shape[1] - 1 or ends[1] > image.shape[0] - 1:
        raise ValueError(f"{frames} frames of {width} x {height} px leave the image: take fewer")
    random = np.random.default_rng(0)
    for number in range(frames):
        place = np.array([[1, 0, number * shift[0]], [0, 1, number * shift[1]]], np.float32)
        view = cv2.warpAffine(image, place, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        noisy = view + random.normal(0, NOISE, view.shape)
        yield noisy.round().clip(0, 255).astype(np.uint8)


def flicker(results: Sequence[Frame], shift: tuple[float, float] = SHIFT) -> float:
    """Mean absolute difference of consecutive frames after compensation of the true motion, in gray levels.

    Args:
        results: (H, W, 3) each, made from the frames of ``video``.
        shift: as of ``video``.
    """
    height, width = results[0].shape[:2]
    flow = np.broadcast_to(np.array(shift, np.float32), (height, width, 2))
    right, down = (int(np.ceil(step)) + _MARGIN for step in shift)
    changes = []
    for before, now in pairwise(results):
        change = cv2.absdiff(now, warp(before, flow))
        changes.append(float(change[_MARGIN : height - down, _MARGIN : width - right].mean()))
    return mean(changes)


def detail(results: Sequence[Frame]) -> float:
    """Mean absolute Laplacian of frames (H, W, 3)."""
    return mean(float(np.abs(cv2.Laplacian(result.astype(np.float32), cv2.CV_32F)).mean()) for result in results)


def _each(start: float, results: Sequence[Frame]) -> float:
    """Milliseconds of processor time per frame since ``start``."""
    return 1000 * (time.process_time() - start) / len(results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
