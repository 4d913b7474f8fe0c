"""Run as a program: validates and tests the grey photographs on two gloo processes; every rank writes its scores."""

import json
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import torch
from lightning import Trainer

from tests.tiny_style import grey_task


def main() -> None:
    """Validates and tests."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    module, data = grey_task()
    (val,) = trainer.validate(module, data, verbose=False)
    (test,) = trainer.test(module, data, verbose=False)
    text = json.dumps({"val": val, "test": test, "table": module.test_table})
    (folder / f"rank{trainer.global_rank}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
