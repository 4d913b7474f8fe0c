"""Trains on a few real cars, with and without training on rendered cars first: Dice of held-out cars.

    python -m experiments.benchmarks.few_cars --root CARVANA --weights mobilenet_v2.pth --rendered CHECKPOINT

The checkpoint is one of the recipe ``rendered``. Every network trains with the recipe ``carvana-few`` for as many steps
as the others, from the checkpoint or from the ImageNet weights of the encoder; the second has three times the learning
rate, since its decoder is new. The two cars that ``carvana-small`` holds out are never trained on, and all networks are
tested on them at full size. The row of no car is the checkpoint itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from datamodules.index.splits import held_out
from experiments import fit
from experiments.cli.main import main as run_program

HELD_OUT = 2
STARTS = ("ImageNet", "rendered")
RATES = {"ImageNet": 3e-3, "rendered": 1e-3}
_RECIPE = "carvana-few"
_CROPS = 80  # of all images in an epoch


@dataclass(frozen=True, kw_only=True)
class Score:
    """Dice of the held-out cars at full size.

    Args:
        cars: number of real cars trained on.
        images: number of their images.
        start: one of ``STARTS``.
        dice: mean over the images.
        worst: of the worst image.
    """

    cars: int
    images: int
    start: str
    dice: float
    worst: float


def main(argv: Sequence[str]) -> int:
    """Trains, tests and prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.few_cars", description="Dice by number of real cars.")
    parser.add_argument("--root", type=Path, required=True, help="Carvana's folder: train and train_masks")
    parser.add_argument("--weights", required=True, help="weights of the encoder: a file, imagenet or auto")
    parser.add_argument("--rendered", type=Path, required=True, help="checkpoint of the recipe rendered")
    parser.add_argument("--cars", type=int, nargs="+", default=[1, 3, 9], help="numbers of real cars to train on")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--out", type=Path, default=Path("few_cars"), help="folder of runs and of links to the images")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    names = in_hash_order(path.name.rpartition("_")[0] for path in (options.root / "train").glob("*.jpg"))
    held = link_cars(options.root, names[:HELD_OUT], options.out / "cars-0")
    scores = [evaluate(options.rendered, options.out, cars=0, images=0, start="rendered", root=held)]
    for cars in options.cars:
        root = link_cars(options.root, names[: HELD_OUT + cars], options.out / f"cars-{cars}")
        images = sum(path.name.rpartition("_")[0] not in names[:HELD_OUT] for path in (root / "train").iterdir())
        for start in STARTS:
            run = fit(
                "segment",
                data=root,
                recipe=_RECIPE,
                name=f"{start}-{cars}",
                runs=options.out,
                init_from=options.rendered if start == "rendered" else None,
                options={
                    "model.net.pretrained": options.weights,
                    "data.val_share": (HELD_OUT + 0.5) / (HELD_OUT + cars),
                    "data.crops": max(1, round(_CROPS / images)),
                    "data.num_workers": 0,
                    "stages.0.lr": RATES[start],
                },
            )
            scores.append(evaluate(run.checkpoint, options.out, cars=cars, images=images, start=start))
            print(scores[-1], flush=True)
    print("\n".join(table(scores)))
    return 0


def in_hash_order(names: Any) -> list[str]:
    """Names in the order in which they are held out, without repetitions.

    >>> names = in_hash_order("abcd")
    >>> frozenset(names[:2]) == held_out("abcd", share=0.5)
    True
    """
    rest, order = sorted(set(names)), list[str]()
    while len(rest) > 1:
        (first,) = held_out(rest, share=1 / (len(rest) + 1))  # at least one
        order.append(first)
        rest.remove(first)
    return order + rest


def link_cars(root: Path, cars: Sequence[str], folder: Path) -> Path:
    """Makes a folder in Carvana's layout with links to the images and masks of some cars, and returns it."""
    for part in ("train", "train_masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for path in (root / part).iterdir():
            link = folder / part / path.name
            if path.name.split("_")[0] in cars and not link.exists():
                link.symlink_to(path.resolve())
    return folder


def evaluate(checkpoint: Path, out: Path, *, cars: int, images: int, start: str, root: Path | None = None) -> Score:
    """Tests a checkpoint on its held-out images, or on all images of ``root``.

    Raises:
        RuntimeError: if it cannot be tested.
    """
    words = ["--task", "segment", "--runs", str(out), "test", "--ckpt_path", str(checkpoint)]
    words += [] if root is None else ["--data.root", str(root), "--data.val_share", "1"]
    if run_program(words) != 0:
        raise RuntimeError(f"{checkpoint} cannot be tested")
    result = json.loads((checkpoint.parents[1] / "test.json").read_text(encoding="utf-8"))
    dice = [row["dice"] for row in result["images"]]
    return Score(cars=cars, images=images, start=start, dice=mean(dice), worst=min(dice))


def table(scores: Sequence[Score]) -> list[str]:
    r"""Formats mean and worst Dice by number of cars and start.

    >>> score = Score(cars=1, images=4, start="rendered", dice=0.98, worst=0.97)
    >>> print(*table([score]), sep="\n")  # doctest: +NORMALIZE_WHITESPACE
    cars  images      from ImageNet      from rendered
       1       4                      0.9800 (0.9700)
    """
    lines = [f"{'cars':>4}{'images':>8}" + "".join(f"{f'from {start}':>19}" for start in STARTS)]
    for cars in sorted({score.cars for score in scores}):
        own = {score.start: score for score in scores if score.cars == cars}
        words = [f"{own[start].dice:.4f} ({own[start].worst:.4f})" if start in own else "" for start in STARTS]
        images = next(iter(own.values())).images
        lines.append(f"{cars:4}{images:8}" + "".join(f"{word:>19}" for word in words))
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
