"""Faults of the machine and concurrent runs: one clear line each, and saved files stay valid."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from callbacks.checkpoints.reading import read_checkpoint
from callbacks.training.memory_check import is_out_of_memory
from datamodules.segmentation.carvana import CarvanaDataModule
from experiments.cli.main import main
from experiments.runs.checkpoint import load_newest
from experiments.runs.folder import RunFolder
from lightning_modules.segmentation import SegmentationModule
from tests.helpers.tiny_images import noise, save
from tests.helpers.tiny_run import TinyRuns

ROOT = Path(__file__).parents[1]


def in_step(step: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls ``do`` once in the training step after ``step`` steps."""
    train, done = SegmentationModule.training_step, []

    def disturbed(self: SegmentationModule, batch: Any) -> Tensor:
        if self.trainer.global_step == step and not done:
            done.append(step)
            do()
        return train(self, batch)

    monkeypatch.setattr(SegmentationModule, "training_step", disturbed)


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The error line of a run."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("run.py: ")]
    return line


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that locks a run folder."""
    code = (
        "import sys; from pathlib import Path; from experiments.runs.lock import RunLock\n"
        f"with RunLock(Path({str(folder)!r})): print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_two_runs_of_one_name(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    other = holder(tiny.folder("mine"))
    try:
        assert tiny.run("--name", "mine") == 2
        said = complaint(capsys)
        assert f"runs/segment/mine is in use by another run (process {other.pid} on " in said
        assert "choose another --name" in said
    finally:
        end(other)  # by SIGKILL: nobody has to tidy up after it
    assert tiny.run("--name", "mine", "--trainer.max_steps", "1") == 0
    assert not (tiny.folder("mine") / ".lock").exists()


def test_two_runs_without_a_name_take_two_folders(tiny: TinyRuns) -> None:
    other = holder(tiny.folder())
    try:
        assert tiny.run("--trainer.max_steps", "1") == 0
    finally:
        end(other)
    assert (tiny.folder("sample-2") / "checkpoints/last.ckpt").exists()
    assert [file.name for file in tiny.folder().iterdir()] == [".lock"]


def test_mistake_creates_no_run_folder(tiny: TinyRuns) -> None:
    assert tiny.run("--model.threshold", "2") == 2
    assert not tiny.folder().exists()


def test_run_without_checkpoint_can_reuse_its_name(tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    def die() -> None:
        raise KeyError("as a kill would")

    with monkeypatch.context() as patch:
        in_step(0, die, patch)
        with pytest.raises(KeyError):
            tiny.run("--name", "mine")
    (log,) = tiny.folder("mine").glob("events*")
    assert tiny.run("--name", "mine") == 0
    assert log not in tiny.folder("mine").glob("events*")


def test_full_disk_during_training(
    tiny: TinyRuns, disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filler = disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1024))

    words = ("--runs", str(disk), "--checkpoint.every_n_steps", "1")
    with monkeypatch.context() as patch:
        in_step(3, fill, patch)
        assert tiny.run(*words) == 1
    assert "No space left on device" in complaint(capsys)
    last = disk / "segment/sample/checkpoints/last.ckpt"
    assert read_checkpoint(last)["global_step"] == 3
    assert not list(last.parent.glob(".*"))
    filler.unlink()
    assert main(["--task", "segment", "--resume", "--runs", str(disk)]) == 0


def test_unwritable_runs_folder(tiny: TinyRuns, disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (disk / "file").touch()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert tiny.run("--runs", str(disk)) == 2
    assert "disk/segment/sample cannot be written to (Read-only file system): choose another" in complaint(capsys)
    assert tiny.run("--data.cache_dir", str(disk / "cache")) == 2
    assert "the cache cannot be written (Read-only file system); " in complaint(capsys)


def test_run_folder_removed_during_training(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_step(3, lambda: shutil.rmtree(tiny.folder()), monkeypatch)
    assert tiny.run() == 0
    assert "runs/segment/sample WAS REMOVED while the run was writing to it" in caplog.text
    assert read_checkpoint(tiny.folder() / "checkpoints/last.ckpt")["global_step"] == 6
    assert (tiny.folder() / "config.yaml").exists()
    assert list(tiny.folder().glob("events*"))


@pytest.mark.parametrize("workers", ["0", "1"])
def test_image_removed_or_changed_during_training(
    tiny: TinyRuns, workers: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted((tiny.place / "cars/train").iterdir())

    def change() -> None:
        for number, image in enumerate(images):
            save(image, noise(1000 + number))

    def remove() -> None:
        for image in images:
            image.unlink()

    for do, message in (
        (change, ".jpg: its size or modification time has changed since the run began"),
        (remove, ".jpg: cannot be read: No such"),
    ):
        with monkeypatch.context() as patch:
            in_step(1, do, patch)
            assert tiny.run("--data.num_workers", workers, "--checkpoint.every_n_steps", "1") == 2
        said = complaint(capsys)
        assert message in said
        assert "Traceback" not in said


def test_resume_reports_changed_data(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        in_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        assert tiny.run() == 75
    os.utime(next((tiny.place / "cars/train").iterdir()), (1e9, 1e9))
    assert main(["--task", "segment", "--resume"]) == 0
    assert "THE DATA HAVE CHANGED since the run was saved" in caplog.text


def test_resume_takes_the_furthest_valid_checkpoint_despite_the_clock(
    tiny: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tiny.run() == 0
    folder = RunFolder(tiny.folder())
    for name, time in (("stage-1", 3e9), ("stage-2", 1e9), ("last", 2e9), ("best", 2.5e9)):
        file = folder.checkpoints / f"{name}.ckpt"
        content = file.read_bytes()
        file.unlink()  # they share their bytes
        file.write_bytes(content[:99] if name == "best" else content)
        os.utime(file, (time, time))
    assert load_newest(folder, "segment")[0].path.name == "last.ckpt"
    assert capsys.readouterr().out.count("skipped") == 0
    (folder.checkpoints / "last.ckpt").write_bytes(b"")
    assert load_newest(folder, "segment")[0].path.name == "stage-2.ckpt"
    said = capsys.readouterr().out
    assert "skipped as damaged: " in said
    assert "best.ckpt (99 bytes" in said
    assert "last.ckpt (0 bytes" in said
    assert "Resuming from runs/segment/sample/checkpoints/stage-2.ckpt, step 6" in said


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    ],
)
def test_out_of_memory_names_stage_and_options(
    tiny: TinyRuns, error: RuntimeError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = SegmentationModule.losses

    def hungry(self: SegmentationModule, batch: Any) -> dict[str, Tensor]:
        if batch["image"].shape[-1] == 48:
            raise error
        return losses(self, batch)

    message = "stage 'large' does not fit in memory at 48 px with batch_size 2 on 1 process(es): lower --stages.1.batch"
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "losses", hungry)
        assert tiny.run() == 2
    assert message in complaint(capsys)
    assert not list(tiny.folder().glob("checkpoints/*"))  # known before the first stage began

    def later() -> None:
        raise error

    with monkeypatch.context() as patch:
        in_step(4, later, patch)
        assert tiny.run() == 2
    assert message in complaint(capsys)
    assert (tiny.folder() / "checkpoints/stage-1.ckpt").exists()


def test_other_errors_are_not_reported_as_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_full_disk_for_the_log_is_one_line(
    tiny: TinyRuns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "events.out")

    in_step(2, full, monkeypatch)
    assert tiny.run() == 1
    assert "run.py: events.out: No space left on device; earlier checkpoints are intact" in complaint(capsys)


def crowd(root: Path, *, cars: int = 100) -> Path:
    """100 images, so that one is one percent."""
    for car in range(cars):
        name = f"car{car}_01"
        save(root / "train" / f"{name}.png", noise(car, 16, 16))
        save(root / "train_masks" / f"{name}_mask.png", (noise(car, 16, 16)[..., 0] > 128).astype("uint8") * 255)
    return root


def test_few_bad_files_can_be_skipped(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    root = crowd(tiny.place / "crowd")
    bad = root / "train/car7_01.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:60])
    words = ("--data.root", str(root), "--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1")
    assert tiny.run(*words, "--name", "a") == 2
    assert "(--data.on_bad skip goes on without them.)" in capsys.readouterr().err
    for name in ("a", "b"):  # the second time from what is remembered of the check
        assert tiny.run(*words, "--data.on_bad", "skip", "--name", name) == 0
        assert "LEFT OUT, since they cannot be used: 1 (on_bad: skip)" in capsys.readouterr().out
        listed = (tiny.folder(name) / "skipped.txt").read_text(encoding="utf-8")
        assert listed.startswith("train/car7_01.png: file that cannot be read (is damaged")
        assert listed.count("\n") == 1
    assert tiny.run(*words, "--name", "c") == 2  # what was remembered does not count where they stop a run
    bad.write_bytes(whole)
    assert tiny.run(*words, "--data.on_bad", "skip", "--name", "d") == 0
    assert not (tiny.folder("d") / "skipped.txt").exists()


def test_more_than_one_percent_of_bad_files_are_refused(tmp_path: Path) -> None:
    root = crowd(tmp_path / "crowd", cars=99)
    (root / "train/car7_01.png").write_bytes(b"")
    data = CarvanaDataModule(root=root, cache_dir=tmp_path / "cache", num_workers=0, on_bad="skip")
    with pytest.raises(ValueError, match=r"on_bad skip leaves out 1% at most, and this is 1\.0%"):
        data.setup("fit")
    with pytest.raises(ValueError, match="1 x file that cannot be read"):
        data.setup("fit")
