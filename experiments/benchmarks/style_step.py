"""Compares the time of a training step of the style networks: border of the image, border of the layers, and a peer.

    python -m experiments.benchmarks.style_step [--size 128] [--batch 4] [--rounds 7]

A step is forward, loss and backward in float32, on one core. "image border" is StyleResnet with the lesson's border of
40 pixels in channels-last order, as the recipe painting had it up to version 0.1; "layer border" is what its recipe has
now. The peer is TransformerNet (``transformer_net.py``) with the loss as its example writes it: one pass of the whole
VGG16 over the results and one over the images, Gram matrices by ``bmm``. The VGG is random, which
takes as long.

The forms take turns, A B C A B C, and processor time is measured; each ratio is the median of the ratios of the rounds,
with their quartiles.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from experiments.benchmarks.transformer_net import TransformerNet
from models.losses.style import StyleLoss
from models.losses.vgg import VggFeatures
from models.style.style_resnet import Border, StyleResnet

LAYERS = (3, 8, 15, 22)
OLD, NEW, PEER = "image border", "layer border", "TransformerNet"


def main(argv: Sequence[str]) -> int:
    """Prints the tables of the network alone and of the whole step."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.style_step", description="Time of a style step.")
    parser.add_argument("--size", type=int, default=128, help="side of the patches in pixels")
    parser.add_argument("--batch", type=int, default=4, help="patches per step")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each form, at least 2")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(options.batch, 3, options.size, options.size)
    nets = {OLD: _styled("image").to(memory_format=torch.channels_last), NEW: _styled("layers"), PEER: TransformerNet()}
    loss = StyleLoss(name="vgg16", layers=LAYERS, content_layer=15, weights="none")
    loss.set_style(torch.rand(3, 256, 256))
    loss.calibrate(images)
    ours, theirs = _our_loss(loss), _plain_loss(torch.rand(1, 3, 256, 256))
    losses = {OLD: ours, NEW: ours, PEER: theirs}
    print(f"{options.size} px, batch {options.batch}, one core, float32, torch {torch.__version__}")
    for title, parts in (("network", dict.fromkeys(nets, _mean)), ("whole step", losses)):
        rounds: dict[str, list[float]] = {name: [] for name in nets}
        for number in tqdm(range(options.rounds + 1), desc=title, unit="round"):
            for name, net in nets.items():
                taken = step(net, images, parts[name])
                if number > 0:  # the first one is the warm-up
                    rounds[name].append(taken)
        print("\n".join(table(title, rounds)))
    return 0


def step(net: nn.Module, images: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Processor time of forward, loss and backward in seconds."""
    start = time.process_time()
    torch.autograd.backward(loss(net(images), images))
    net.zero_grad()
    return time.process_time() - start


def table(title: str, rounds: dict[str, list[float]]) -> list[str]:
    """Formats the medians, and the ratios of each form to the new one inside each round.

    >>> table("network", {"image border": [4.0, 6.0], "layer border": [2.0, 2.0]})[1]
    'image border              5.000        2.50 (2.25 to 2.75)'
    """
    lines = [f"{title:20}{'seconds':>11}        times the layer border (quartiles)"]
    for name, seconds in rounds.items():
        ratios = [mine / new for mine, new in zip(seconds, rounds[NEW], strict=True)]
        low, middle, high = quantiles(ratios, n=4, method="inclusive")
        lines.append(f"{name:20}{median(seconds):11.3f}        {middle:.2f} ({low:.2f} to {high:.2f})")
    return lines


def _styled(border: Border) -> nn.Module:
    return StyleResnet(norm="instance", upsample="bilinear", border=border)


def _mean(preds: Tensor, content: Tensor) -> Tensor:  # noqa: ARG001 - as the losses
    return preds.square().mean()


def _our_loss(loss: StyleLoss) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda preds, content: torch.stack(list(loss(preds, content).values())).sum()


def _plain_loss(style: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    vgg = VggFeatures(name="vgg16", layers=LAYERS, weights="none")

    def gram(features: Tensor) -> Tensor:
        number, channels, height, width = features.shape
        rows = features.view(number, channels, height * width)
        return rows.bmm(rows.transpose(1, 2)) / (channels * height * width)

    with torch.no_grad():
        targets = [gram(features) for features in vgg(style)]

    def loss(preds: Tensor, content: Tensor) -> Tensor:
        features, kept = vgg(preds), vgg(content)
        total = 1e5 * F.mse_loss(features[1], kept[1])
        for own, target in zip(features, targets, strict=True):
            total = total + 1e10 * F.mse_loss(gram(own), target.expand(len(own), -1, -1))
        return total

    return loss


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
