"""Two real ranks score like one process, each image once, through the real command line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.tiny_images import noise, save, save_images

pytestmark = pytest.mark.slow
RUN = Path(__file__).parents[1] / "experiments" / "run.py"
DATA = ["--data.cache_dir=cache", "--data.num_workers=0", "--data.val_share=0.4", "--data.val_size=16"]
QUIET = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def run(folder: Path, *words: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, str(RUN), "--task", "sr", *words, *QUIET],
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "sync_dist" not in done.stderr
    return done.stdout


def judged(folder: Path, command: str, *words: str) -> dict[str, Any]:
    run(folder, command, *words)
    return dict(json.loads((folder / f"runs/sr/tiny/{command}.json").read_text(encoding="utf-8")))


def test_scores_do_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 12, 60, 80)  # five of them validate: three on one process, two on the other
    for number in range(3):
        save(tmp_path / f"bench/p{number}.png", noise(number, 40 + 8 * number, 60))
    stage = "--stages=[{name: 2x, scale: 2, size: 12, batch_size: 4, epochs: 1, lr: 0.001}]"
    net = ["--model.net.width=8", "--model.net.blocks=1", "--model.lpips=none"]
    run(tmp_path, "--data.root=images", *DATA, *net, "--name=tiny", stage)
    for command, words in (("validate", []), ("test", []), ("test", ["--data.benchmark=bench"])):
        alone, shared = judged(tmp_path, command, *words), judged(tmp_path, command, *words, *TWO)
        assert shared["scores"] == pytest.approx(alone["scores"], rel=1e-6)
        assert [row["name"] for row in shared["images"]] == [row["name"] for row in alone["images"]]
        for ours, theirs in zip(shared["images"], alone["images"], strict=True):
            assert ours == theirs
    assert len(alone["images"]) == 3
