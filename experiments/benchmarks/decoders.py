"""Compares the lesson's simple decoder with a U-Net on the same encoder, for the same steps, at two sizes.

    python -m experiments.benchmarks.decoders --root CARVANA --weights mobilenet_v2.pth [--seeds 0 1 2] [--out decoders]

Both networks start from the same weights of a MobileNetV2. Each trains at 128 px with the encoder frozen, then whole,
and goes on at 256 px from its weights, as in the lesson; schedule, data, augmentation, loss and optimizer are the same.
The encoder is the lesson's only in kind: it takes ResNet34, 64 images a batch and sizes up to 1024 px. The table has
accuracy and Dice of the held-out cars at the size of training, as the lesson reports them, and the median of the time
of a training step. ``OUT/decoders.png`` shows the errors of all seeds. ``--precision bf16-mixed`` is faster where the
CPU has instructions for bfloat16.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from callbacks.output_file import output_file
from experiments import fit
from experiments.cli.main import main as run_program
from models.segmentation.simple_decoder import SimpleSegmenter
from models.segmentation.unet import UNet

NETS = {"simple decoder": "models.SimpleSegmenter", "U-Net": "models.UNet"}
ENCODER = "mobilenet_v2"
BATCH = 8
_STAGE = {"batch_size": BATCH, "div": 10, "warmup": 0.2}
#: Stages by the side of the images; those of 256 px start from the weights after 128 px.
STAGES: dict[int, list[dict[str, Any]]] = {
    128: [
        {"name": "128 head", "size": 128, "epochs": 4, "lr": 3e-3, "frozen": "encoder", **_STAGE},
        {"name": "128 all", "size": 128, "epochs": 16, "lr": 2e-3, "lr_scale": [0.1, 0.3, 1], **_STAGE},
    ],
    256: [{"name": "256 all", "size": 256, "epochs": 12, "lr": 1e-3, "lr_scale": [0.1, 0.3, 1], **_STAGE}],
}
_ROUNDS = 9


@dataclass(frozen=True, kw_only=True)
class Score:
    """Result of one network, one size and one seed on the held-out cars.

    Args:
        net: key of ``NETS``.
        size: side of the images in pixels.
        seed: of the decoder's weights, the order and the augmentations.
        accuracy: share of pixels that are right.
        dice: mean Dice of the images.
    """

    net: str
    size: int
    seed: int
    accuracy: float
    dice: float


def main(argv: Sequence[str]) -> int:
    """Trains, prints the table and writes the figure."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.decoders", description="Simple decoder and U-Net.")
    parser.add_argument("--root", type=Path, required=True, help="Carvana's folder: train and train_masks")
    parser.add_argument("--weights", required=True, help="weights of the encoder: a file, imagenet or auto")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training of each network per seed")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true", help="of both networks")
    parser.add_argument("--out", type=Path, default=Path("decoders"), help="folder of runs and figure")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    scores = []
    for seed in options.seeds:
        for net in NETS:
            scores += train(net, seed, options.precision, root=options.root, weights=options.weights, out=options.out)
            print(*(f"{score}" for score in scores[-len(STAGES) :]), sep="\n", flush=True)
    print(f"precision {options.precision}")
    print("\n".join(table(scores, step_seconds(options.precision))))
    figure = options.out / "decoders.png"
    with output_file(figure) as file:
        draw(scores).savefig(file, format="png", dpi=110)
    print(f"figure: {figure}")
    return 0


def train(net: str, seed: int, precision: str, *, root: Path, weights: str, out: Path) -> list[Score]:
    """Trains one network at all sizes; runs in ``out`` that were validated before are not repeated.

    Raises:
        RuntimeError: if the scores cannot be computed.
    """
    scores: list[Score] = []
    previous: Path | None = None
    for size, stages in STAGES.items():
        name = f"{net.replace(' ', '-')}-{size}-{seed}"
        folder = out / "segment" / name
        if not (folder / "validate.json").is_file():
            run = fit(
                "segment",
                data=root,
                recipe="carvana-small",
                name=name,
                runs=out,
                stages=stages,
                init_from=previous,
                options={
                    "model.net": {"class_path": NETS[net], "init_args": {"encoder": ENCODER, "pretrained": weights}},
                    "trainer.precision": precision,
                    "data.num_workers": 0,
                    "seed_everything": seed,
                },
            )
            words = ["--task", "segment", "--runs", str(out), "validate", "--ckpt_path", str(run.checkpoint)]
            if run_program(words) != 0:
                raise RuntimeError(f"{run.checkpoint} cannot be validated")
        result = json.loads((folder / "validate.json").read_text(encoding="utf-8"))
        previous = folder / "checkpoints" / result["checkpoint"]
        values = result["scores"]
        scores.append(Score(net=net, size=size, seed=seed, accuracy=values["val/accuracy"], dice=values["val/dice"]))
    return scores


def step_seconds(precision: str) -> dict[tuple[str, int], float]:
    """Measures a training step of both networks in turn, at every size; medians of the rounds after the first."""
    nets = {
        "simple decoder": SimpleSegmenter(encoder=ENCODER, pretrained="none"),
        "U-Net": UNet(encoder=ENCODER, pretrained="none"),
    }
    seconds: dict[tuple[str, int], float] = {}
    for size in STAGES:
        images, target = torch.rand(BATCH, 3, size, size), torch.rand(BATCH, 1, size, size)
        images = images.contiguous(memory_format=torch.channels_last)
        taken: dict[str, list[float]] = {name: [] for name in nets}
        for _ in range(_ROUNDS + 1):
            for name, net in nets.items():
                net.to(memory_format=torch.channels_last)
                start = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                    logits = net(images)
                F.binary_cross_entropy_with_logits(logits.float(), target).backward()
                net.zero_grad()
                taken[name].append(time.perf_counter() - start)
        seconds |= {(name, size): median(values[1:]) for name, values in taken.items()}
    return seconds


def table(scores: Sequence[Score], seconds: dict[tuple[str, int], float]) -> list[str]:
    """Formats means and ranges over the seeds, and how many times fewer pixels are wrong with the U-Net."""
    seeds = sorted({score.seed for score in scores})
    lines = [
        f"{ENCODER}, batch {BATCH}, seeds {', '.join(map(str, seeds))}, torch {torch.__version__}",
        f"{'':16}{'px':>5}{'accuracy (range)':>30}{'Dice (range)':>30}{'s per step':>12}",
    ]
    for size in STAGES:
        for net in NETS:
            own = [score for score in scores if (score.net, score.size) == (net, size)]
            words = [_range([score.accuracy for score in own]), _range([score.dice for score in own])]
            lines.append(f"{net:16}{size:5}{words[0]:>30}{words[1]:>30}{seconds[net, size]:12.3f}")
        wrong = [1 - mean(score.accuracy for score in scores if (score.net, score.size) == (net, size)) for net in NETS]
        lines.append(
            f"{'':16}{size:5} wrong pixels: {wrong[0]:.2%} and {wrong[1]:.2%}, {wrong[1] / wrong[0]:.2f} of them"
        )
    return lines


def draw(scores: Sequence[Score]) -> Figure:
    """Draws wrong pixels and 1 - Dice in percent: the mean over the seeds as a bar, every seed as a dot."""
    figure = Figure(figsize=(7.5, 2.6), layout="constrained")
    parts: dict[str, Callable[[Score], float]] = {
        "wrong pixels (%)": lambda score: 100 * (1 - score.accuracy),
        "1 - Dice (%)": lambda score: 100 * (1 - score.dice),
    }
    for number, (label, value) in enumerate(parts.items(), start=1):
        axes = figure.add_subplot(1, 2, number)
        for shift, (net, color) in enumerate(zip(NETS, ("#b0b0b0", "#0072b2"), strict=True)):
            for place, size in enumerate(STAGES):
                values = [value(score) for score in scores if (score.net, score.size) == (net, size)]
                x = place + 0.36 * (shift - 0.5)
                axes.bar(x, mean(values), width=0.32, color=color, label=net if place == 0 else None)
                axes.plot([x] * len(values), values, "o", markersize=3.5, color="black")
                axes.annotate(f"{mean(values):.2f}", (x, max(values)), (0, 4), textcoords="offset points", ha="center")
        axes.set_xticks(range(len(STAGES)), [f"{size} px" for size in STAGES])
        axes.set_ylabel(label)
        axes.margins(y=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].legend(frameon=False)
    return figure


def _range(values: Sequence[float]) -> str:
    return f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
