"""File names that are not UTF-8, as old archives have them: used like all others, and printed."""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.helpers.tiny_images import disc, noise, save

ROOT = Path(__file__).parents[1]
ODD = os.fsdecode(b"caf\xe9")


def run(*words: str, folder: Path) -> tuple[int, bytes]:
    """Exit code and output of a command whose output is strict UTF-8."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments/run.py"), "--task", *words],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "DARKROOM_CACHE": str(folder / "cache")},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_images_and_masks_are_trained_on_scored_and_predicted(tmp_path: Path) -> None:
    for number in range(6):
        name = f"{ODD}{number}"
        save(tmp_path / "d/images" / f"{name}.jpg", noise(number))
        (tmp_path / "d/masks").mkdir(exist_ok=True)
        Image.fromarray(disc(number) * 255).save(tmp_path / "d/masks" / f"{name}.png")
    config = (
        "data: {class_path: datamodules.FolderDataModule, init_args: {root: d, classes: [blob], num_workers: 0}}\n"
        "model: {net: {init_args: {pretrained: none}}}\n"
        "stages: [{name: s, size: 32, batch_size: 2, epochs: 1, lr: 1e-3}]\n"
    )
    (tmp_path / "config.yaml").write_text(config)
    code, output = run("segment", "--config", "config.yaml", "--name", "a", folder=tmp_path)
    assert code == 0, output.decode()
    checkpoint = ("--ckpt_path", "runs/segment/a/checkpoints/best.ckpt")
    code, output = run("segment", "test", *checkpoint, folder=tmp_path)
    assert code == 0, output.decode()
    assert rb"worst: images/caf\udce9" in output
    (tmp_path / "d/images" / f"{ODD}.jpg").write_bytes(b"no image")
    code, output = run("segment", "predict", *checkpoint, "d/images", "--out", "o", folder=tmp_path)
    assert code == 1, output.decode()
    assert rb"d/images/caf\udce9.jpg: is not an image that can be read" in output
    masks = sorted(path.name for path in (tmp_path / "o/mask").iterdir())
    assert masks == [f"{ODD}{number}.png" for number in range(6)]
