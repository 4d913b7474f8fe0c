"""Run as a program: trains and tests the discs on several gloo processes; every rank writes down its scores."""

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import torch

from callbacks.dashboard import Dashboard
from callbacks.segment_figures import SegmentFigures
from tests.tiny_segment import fit_discs


def main() -> None:
    """Fits and tests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--devices", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = fit_discs(
            args.folder,
            [SegmentFigures(fixed=2, worst=1), Dashboard(configuration={})],
            devices=args.devices,
            strategy="ddp" if args.devices > 1 else "auto",
            num_sanity_val_steps=0,
        )
        val = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        module = trainer.lightning_module
        test = trainer.test(module, trainer.datamodule, verbose=False)[0]  # type: ignore[attr-defined]
    words = [str(warning.message) for warning in caught]
    end = {"val": val, "test": test, "table": module.test_table, "sync": [w for w in words if "sync_dist" in w]}
    (args.folder / f"rank{trainer.global_rank}.json").write_text(json.dumps(end), encoding="utf-8")


if __name__ == "__main__":
    main()
