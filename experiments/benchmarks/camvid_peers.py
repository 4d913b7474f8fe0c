"""Trains our U-Net and two networks of segmentation_models.pytorch on CamVid for the same time, and compares them.

    python -m experiments.benchmarks.camvid_peers --root CAMVID --weights mobilenet_v2.pth [--minutes 20] [--threads 2]

U-Net, smp's U-Net and smp's DeepLabV3+ start from the same encoder weights. Crops, augmentation, loss, class weights,
optimizer, schedule and weight averaging are those of the recipe ``camvid``; only the network differs. Their steps are
interleaved in one process: it always advances the network whose time is used least, so that other load on the machine
slows all of them alike. The length of each schedule follows from the speed measured in a few steps before. The table
shows the IoU of each class over the whole validation frames at their own size.
"""

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import default_collate

from datamodules.base import length_of
from datamodules.loading.sampler import Key, TrainBatches
from datamodules.segmentation.folder import FolderDataModule
from datamodules.stage import Stage
from lightning_modules.segmentation import SegmentationModule
from models.normalize import Normalize
from models.segmentation.unet import UNet

SEED = 0
CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian"),
    "bicyclist",
)
STAGE = Stage(
    name="all", size=360, crop=256, batch_size=8, epochs=1, lr=3e-3, lr_scale=(0.1, 0.2, 1.0), div=10.0, warmup=0.2
)
STRIDE = 32  # smp's networks take sides of a multiple of it
MEASURED_STEPS = 3


class PeerNet(nn.Module):
    """A network of segmentation_models.pytorch with its defaults, for images in [0, 1] of any size."""

    def __init__(self, net: Any, weights: Path) -> None:
        super().__init__()
        self.normalize = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        self.net = net
        self.net.encoder.load_state_dict(torch.load(weights, weights_only=True), strict=True)

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(N, 3, H, W)`` in [0, 1] to logits ``(N, C, H, W)``."""
        height, width = images.shape[2:]
        border = (0, -width % STRIDE, 0, -height % STRIDE)
        logits: Tensor = self.net(nn.functional.pad(self.normalize(images), border))
        return logits[:, :, :height, :width]

    def layer_groups(self) -> list[list[nn.Module]]:
        """Encoder down to 1/8, the rest of the encoder, decoder, as in our U-Net."""
        features = self.net.encoder.features
        return [[features[:7]], [features[7:]], [self.net.decoder, self.net.segmentation_head]]


@dataclass(kw_only=True)
class Contestant:
    """A network in training.

    Args:
        name: shown in the table.
        module: loss and scores of the network.
        steps: optimizer steps of its schedule.
        seconds: training time.
        done: optimizer steps that are done.
    """

    name: str
    module: SegmentationModule
    steps: int = 0
    seconds: float = 0.0
    done: int = 0
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))


def main(argv: Sequence[str]) -> int:
    """Trains the networks and prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.camvid_peers", description="CamVid beside smp.")
    parser.add_argument("--root", type=Path, required=True, help="CamVid's folder: train, trainannot, val, valannot")
    parser.add_argument("--weights", type=Path, required=True, help="torchvision's MobileNetV2 features")
    parser.add_argument("--minutes", type=float, default=20, help="training time per network")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    parser.add_argument("--crop", type=int, default=STAGE.crop, help="side of the crops")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    stage = replace(STAGE, crop=options.crop)
    data = camvid(options.root)
    data.prepare([stage])
    contestants = build(options.weights)
    for contestant in contestants:
        plan(contestant, data, stage, seconds=60 * options.minutes)
    averages = train(contestants, stage)
    tables = [
        evaluate(contestant.module, average, data) for contestant, average in zip(contestants, averages, strict=True)
    ]
    print(
        f"MobileNetV2 encoder, {options.threads} threads, {options.minutes:g} min requested, torch {torch.__version__}"
    )
    print(f"{'':16}" + "".join(f"{contestant.name:>16}" for contestant in contestants))
    print(f"{'minutes':16}" + "".join(f"{contestant.seconds / 60:16.1f}" for contestant in contestants))
    print(f"{'steps':16}" + "".join(f"{contestant.steps:16}" for contestant in contestants))
    for key in ("iou", "accuracy", *(f"iou/{name}" for name in CLASSES)):
        label = {"iou": "mean IoU"}.get(key, key.removeprefix("iou/"))
        print(f"{label:16}" + "".join(f"{table[key]:16.4f}" for table in tables))
    return 0


def camvid(root: Path) -> FolderDataModule:
    """CamVid as in the recipe."""
    data = FolderDataModule(
        root=root,
        classes=CLASSES,
        ignore=11,
        image_dir="{split}",
        mask_dir="{split}annot",
        light=0.25,
        random_scale=(0.6, 1.8),
        crops=4,
        seed=SEED,
        num_workers=0,
    )
    data.set_stage(STAGE)
    return data


def build(weights: Path) -> list[Contestant]:
    """The three networks, each with its own random decoder, from the same encoder weights."""
    nets: dict[str, nn.Module] = {}
    torch.manual_seed(SEED)
    nets["darkroom U-Net"] = UNet(encoder="mobilenet_v2", classes=len(CLASSES), pretrained=str(weights))
    for name, kind in (("smp U-Net", smp.Unet), ("smp DeepLabV3+", smp.DeepLabV3Plus)):
        torch.manual_seed(SEED)
        nets[name] = PeerNet(kind("mobilenet_v2", encoder_weights=None, classes=len(CLASSES)), weights)
    return [
        Contestant(
            name=name,
            module=SegmentationModule(
                net=net, classes=CLASSES, dice_weight=1.0, class_weights="auto", channels_last=True, weight_decay=1e-5
            ),
        )
        for name, net in nets.items()
    ]


def plan(contestant: Contestant, data: FolderDataModule, stage: Stage, *, seconds: float) -> None:
    """Sets the number of steps that fit into the time, from the speed of a few; weights and statistics are restored."""
    module = contestant.module
    module.set_class_weights([weight**0.5 for weight in data.class_weights])  # ``setup`` does it inside a trainer
    before = copy.deepcopy(module.state_dict())
    module.begin_stage(stage, MEASURED_STEPS)
    module.train()
    batch = data.dry_run_batch(stage)
    optimizer = torch.optim.Adam(module.parameters())
    durations = []
    for _ in range(MEASURED_STEPS + 1):
        start = time.monotonic()
        torch.autograd.backward(module.losses(batch)["loss"])
        optimizer.step()
        optimizer.zero_grad()
        durations.append(time.monotonic() - start)
    module.load_state_dict(before)
    contestant.steps = max(1, round(seconds / (sum(durations[1:]) / MEASURED_STEPS)))
    contestant.batches = batches(data, stage)


def batches(data: FolderDataModule, stage: Stage) -> Iterator[Any]:
    """The batches of all epochs, the same for every network."""
    images = data.train_set(stage)
    epoch = 0
    while True:
        for keys in TrainBatches(length=length_of(images), batch_size=stage.batch_size, seed=SEED, epoch=epoch):
            yield default_collate([images[key] for key in keys])
        epoch += 1


def train(contestants: Sequence[Contestant], stage: Stage) -> list[AveragedModel]:
    """Trains all networks in turns and returns the averages of their weights."""
    optimizers: list[Any] = []
    averages = []
    for contestant in contestants:
        contestant.module.begin_stage(replace(stage, epochs=1), contestant.steps)
        contestant.module.train()
        optimizers.append(contestant.module.configure_optimizers())
        averages.append(AveragedModel(contestant.module.net, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True))
    while any(contestant.done < contestant.steps for contestant in contestants):
        number = min(range(len(contestants)), key=lambda n: contestants[n].done / contestants[n].steps)
        contestant, chosen = contestants[number], optimizers[number]
        start = time.monotonic()
        batch = next(contestant.batches)
        torch.autograd.backward(contestant.module.losses(batch)["loss"])
        chosen["optimizer"].step()
        chosen["optimizer"].zero_grad()
        chosen["lr_scheduler"]["scheduler"].step()
        averages[number].update_parameters(contestant.module.net)
        contestant.seconds += time.monotonic() - start
        contestant.done += 1
        if contestant.done % 50 == 0:
            print(f"{contestant.name}: step {contestant.done} of {contestant.steps}", flush=True)
    return averages


@torch.no_grad()
def evaluate(module: SegmentationModule, average: AveragedModel, data: FolderDataModule) -> dict[str, float]:
    """Scores of the averaged weights over the whole validation frames."""
    module.net.load_state_dict(average.module.state_dict())
    module.eval()
    module.val_scores.reset()
    frames = data.val_set(STAGE)
    for index in range(length_of(frames)):
        module.validation_step(default_collate([frames[Key(0, index)]]))
    return {name: float(value) for name, value in module.val_scores.compute().items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
