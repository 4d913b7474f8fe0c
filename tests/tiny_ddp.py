"""Run as a program: trains the tiny task on several gloo processes; every rank writes down how it ended."""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import torch
from test_resume import KillBefore, KilledError
from tiny_task import SEED, TinyData, tiny_task, tiny_trainer


def main() -> None:
    """Fits, and exits with 0 also when killed on purpose."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--kill", type=int, default=-1)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--validate", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    trainer = tiny_trainer(
        args.folder,
        devices=args.devices,
        strategy="ddp" if args.devices > 1 else "auto",
        extra=[KillBefore(args.kill)],
        deterministic=True,
    )
    module, data = tiny_task(), TinyData(seed=SEED, num_workers=0)
    resumed = args.folder / "last.ckpt" if args.resume else None
    try:
        if args.validate:
            args.folder.mkdir(exist_ok=True)
            trainer.validate(module, datamodule=data, verbose=False)
        else:
            trainer.fit(module, datamodule=data, ckpt_path=resumed, weights_only=True)
    except KilledError:
        return
    end = {
        "weights": {name: tensor.double().sum().item() for name, tensor in module.net.named_parameters()},
        "val": float(trainer.callback_metrics["val/loss"]),
    }
    (args.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(end), encoding="utf-8")


if __name__ == "__main__":
    main()
