"""Compares the time of a training step of our U-Net with that of segmentation_models.pytorch on the same encoder.

    python -m experiments.benchmarks.unet_step [--encoder mobilenet_v2] [--size 256] [--batch 4]

A step is forward, loss and backward, in channels_last, on one core. The networks take turns so that other load affects
all of them, and processor time is measured. "no image" is the U-Net without the skip connection from the image; the
difference is the cost of that connection.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from statistics import median

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from models.segmentation.unet import UNet


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.unet_step", description="Time of a training step.")
    parser.add_argument("--encoder", default="mobilenet_v2", help="an encoder that both libraries have")
    parser.add_argument("--size", type=int, default=256, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=7, help="measurements per network")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    nets: dict[str, nn.Module] = {
        "segmentation_models.pytorch": smp.Unet(options.encoder, encoder_weights=None, classes=1),
        "darkroom": UNet(encoder=options.encoder, pretrained="none"),
        "darkroom, no image": UNet(encoder=options.encoder, pretrained="none", image_width=0),
    }
    images = torch.rand(options.batch, 3, options.size, options.size).contiguous(memory_format=torch.channels_last)
    seconds: dict[tuple[str, bool], list[float]] = {}
    for number in tqdm(range(options.rounds + 1), desc="rounds", unit="round"):
        for name, net in nets.items():
            for bf16 in (False, True):
                taken = step(net.to(memory_format=torch.channels_last), images, bf16=bf16)
                if number > 0:  # the first one is the warm-up
                    seconds.setdefault((name, bf16), []).append(taken)
    print(f"{options.encoder}, {options.size} px, batch {options.batch}, one core, torch {torch.__version__}")
    print(f"{'net':30}{'parameters':>12}{'float32':>10}{'bf16':>10}   seconds per step, median of {options.rounds}")
    for name, net in nets.items():
        millions = sum(p.numel() for p in net.parameters()) / 1e6
        times = "".join(f"{median(seconds[name, bf16]):10.3f}" for bf16 in (False, True))
        print(f"{name:30}{millions:10.2f} M{times}")
    return 0


def step(net: nn.Module, images: torch.Tensor, *, bf16: bool) -> float:
    """Processor time of forward, loss and backward in seconds."""
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = net(images)
    target = torch.zeros_like(logits, dtype=torch.float32)
    torch.autograd.backward(F.binary_cross_entropy_with_logits(logits.float(), target))
    net.zero_grad()
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
