"""Trains our U-Net and that of segmentation_models.pytorch for the same time on the same data, and compares them.

    python -m experiments.benchmarks.segment_peer --root CARVANA --weights mobilenet_v2.pth [--minutes 20]

Both start from the same encoder weights and train at the same time, each on one core, with the same stages, losses and
augmentation; only the network differs. A stage gets a fraction of the minutes and as many epochs as fit into it, by the
speed measured in a few steps before the run, so that each schedule is completed. The table shows the Dice of the
held-out cars at their original size.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from lightning import Trainer
from torch import Tensor, nn

from callbacks.training.progressive_resizing import ProgressiveResizing
from callbacks.training.step_seed import StepSeed
from datamodules.segmentation.carvana import CarvanaDataModule
from datamodules.stage import Stage
from experiments.benchmarks.side_by_side import run_side_by_side
from lightning_modules.segmentation import SegmentationModule
from models.normalize import Normalize
from models.segmentation.unet import UNet

SEED = 0
# fraction of the minutes, stage; epochs are computed from the measured speed
SCHEDULE = (
    (0.05, Stage(name="256 head", size=256, batch_size=8, epochs=1, lr=3e-3, frozen="encoder", div=10.0, warmup=0.2)),
    (0.25, Stage(name="256 all", size=256, batch_size=4, epochs=1, lr=2e-3, lr_scale=(0.1, 0.3, 1.0), div=10.0)),
    (0.70, Stage(name="512 all", size=512, batch_size=4, epochs=1, lr=1e-3, lr_scale=(0.1, 0.3, 1.0), div=10.0)),
)


class PeerUnet(nn.Module):
    """segmentation_models.pytorch's U-Net with its defaults, for images in [0, 1] and with layer groups."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.normalize = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        self.net = smp.Unet("mobilenet_v2", encoder_weights=None, classes=1)
        self.net.encoder.load_state_dict(torch.load(weights, weights_only=True), strict=True)

    def forward(self, images: Tensor) -> Tensor:
        """Maps ``(N, 3, H, W)`` in [0, 1] to logits ``(N, 1, H, W)``; sides must be multiples of 32."""
        logits: Tensor = self.net(self.normalize(images))
        return logits

    def layer_groups(self) -> list[list[nn.Module]]:
        """Encoder down to 1/8, the rest of the encoder, decoder, as in our U-Net."""
        features = self.net.encoder.features
        return [[features[:7]], [features[7:]], [self.net.decoder, self.net.segmentation_head]]


def main(argv: Sequence[str]) -> int:
    """Trains both networks and prints the table."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks.segment_peer", description="Quality beside smp.")
    parser.add_argument("--root", type=Path, required=True, help="Carvana's folder")
    parser.add_argument("--weights", type=Path, required=True, help="torchvision's MobileNetV2 features")
    parser.add_argument("--minutes", type=float, default=20, help="training time per network, on one core")
    parser.add_argument("--only", choices=("darkroom", "smp"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.only:
        torch.set_num_threads(1)
        options.out.write_text(json.dumps(train(options.only, options)), encoding="utf-8")
        return 0
    data = CarvanaDataModule(root=options.root, seed=SEED)
    data.prepare([stage for _, stage in SCHEDULE])
    results = run_side_by_side("experiments.benchmarks.segment_peer", argv, ("darkroom", "smp"))
    if results is None:
        return 1
    print(f"MobileNetV2 encoder, one core each, {options.minutes:g} min requested, torch {torch.__version__}")
    print(f"{'':44}{'darkroom':>10}{'smp':>10}")
    for label in ("minutes", "epochs"):
        print(f"{label:44}{results['darkroom'][label]:>10}{results['smp'][label]:>10}")
    names = sorted(results["darkroom"]["dice"])
    for name in [*names, "mean Dice"]:
        ours, theirs = (_dice(results[peer]["dice"], name) for peer in ("darkroom", "smp"))
        print(f"{name:44}{ours:10.4f}{theirs:10.4f}")
    return 0


def _dice(table: dict[str, float], name: str) -> float:
    return sum(table.values()) / len(table) if name == "mean Dice" else table[name]


def train(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Trains and tests one network.

    Returns:
        Training time in minutes, epochs per stage, and the Dice of each image at its original size.
    """
    torch.manual_seed(SEED)
    net: nn.Module = PeerUnet(options.weights) if name == "smp" else UNet(pretrained=str(options.weights))
    module = SegmentationModule(net=net, dice_weight=1.0, channels_last=True)
    data = CarvanaDataModule(root=options.root, seed=SEED, num_workers=0)
    data.setup("fit")
    stages = [
        replace(stage, epochs=max(1, round(60 * options.minutes * fraction / seconds_per_epoch(module, data, stage))))
        for fraction, stage in SCHEDULE
    ]
    trainer = Trainer(
        max_epochs=sum(stage.epochs for stage in stages),
        accelerator="cpu",
        precision="bf16-mixed",
        callbacks=[ProgressiveResizing(stages, dry_run=False), StepSeed(SEED)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=name == "darkroom",
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    start = time.monotonic()
    trainer.fit(module, datamodule=data)
    minutes = (time.monotonic() - start) / 60
    trainer.test(module, datamodule=data, verbose=False)
    return {
        "minutes": f"{minutes:.1f}",
        "epochs": "+".join(str(stage.epochs) for stage in stages),
        "dice": {row["name"]: row["dice"] for row in module.test_table},
    }


def seconds_per_epoch(module: SegmentationModule, data: CarvanaDataModule, stage: Stage, *, steps: int = 4) -> float:
    """Estimates the time of an epoch from a few steps; weights and statistics are restored."""
    before = {key: value.clone() for key, value in module.state_dict().items()}
    batch = data.dry_run_batch(stage)
    module.train()
    module.begin_stage(stage, steps)
    optimizer = torch.optim.Adam(parameter for parameter in module.parameters() if parameter.requires_grad)
    seconds = []
    for _ in range(steps + 1):
        start = time.monotonic()
        with torch.autocast("cpu", torch.bfloat16):
            loss = module.losses(batch)["loss"]
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.monotonic() - start)
    module.load_state_dict(before)
    return sum(seconds[1:]) / steps * data.steps_per_epoch(stage)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
