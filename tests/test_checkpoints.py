"""Checkpoint files: atomic, read without running code, and the right ones are kept."""

import errno
import os
import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from callbacks.checkpoints.checkpoint_io import AtomicCheckpointIO
from callbacks.checkpoints.reading import read_checkpoint
from callbacks.checkpoints.run_checkpoint import RunCheckpoint
from callbacks.checkpoints.save_on_signal import SaveOnSignal
from callbacks.distributed.exit_codes import SIGNALS
from callbacks.errors import CheckpointError, InterruptedRunError, NonFiniteError, OutputError
from tests.helpers.tiny_task import SEED, TinyData, TinyNet, TinyTask, tiny_task, tiny_trainer


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weight": torch.arange(1000.0)}, path)
    return path


def test_checkpoint_round_trip(good: Path) -> None:
    assert torch.equal(read_checkpoint(good)["weight"], torch.arange(1000.0))
    assert [path.name for path in good.parent.iterdir()] == ["good.ckpt"]


@pytest.mark.parametrize("keep", [0, 10, 500, 3000])
def test_truncated_file_is_reported_as_damaged(good: Path, keep: int) -> None:
    good.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"good\.ckpt is damaged"):
        read_checkpoint(good)


def test_flipped_bit_is_detected(good: Path) -> None:
    data = bytearray(good.read_bytes())
    place = data.find(torch.tensor([500.0]).numpy().tobytes())
    data[place + 2] ^= 1
    good.write_bytes(data)
    assert not torch.equal(torch.load(good, weights_only=True)["weight"], torch.arange(1000.0))  # torch takes it
    with pytest.raises(CheckpointError, match=r"damaged \(check sum of .*data/0"):
        read_checkpoint(good)


def test_code_urls_and_empty_files_are_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "owned"),))

    torch.save({"state_dict": Attack()}, tmp_path / "attack.ckpt", pickle_module=pickle)
    with pytest.raises(CheckpointError, match=r"attack\.ckpt holds more than numbers"):
        read_checkpoint(tmp_path / "attack.ckpt")
    assert not (tmp_path / "owned").exists()
    with pytest.raises(CheckpointError, match="is a URL: download the file"):
        read_checkpoint(Path("https://example.org/model.ckpt"))
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "absent.ckpt")


def test_full_disk_keeps_the_previous_file(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = good.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device\): the one before it is intact"):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.zeros(9)}, good)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.ckpt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_device_keeps_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a: real(Path("/dev/full") if "partial" in self.name else self, *a))
    with pytest.raises(OutputError, match=r"could not be written .*there was none before it"):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.zeros(1_000_000)}, tmp_path / "new.ckpt")
    assert list(tmp_path.iterdir()) == []


def fit(trainer: Trainer, module: LightningModule) -> None:
    trainer.fit(module, datamodule=TinyData(seed=SEED, num_workers=0))


def kept(trainer: Trainer) -> RunCheckpoint:
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, RunCheckpoint)
    return checkpoint


def test_best_is_of_the_last_stage_and_every_stage_end_is_kept(tmp_path: Path) -> None:
    scores: dict[int, float] = {}

    class Scores(Callback):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            scores[trainer.current_epoch] = float(trainer.callback_metrics["val/loss"])

    trainer = tiny_trainer(tmp_path, extra=[Scores()], every_n_steps=10_000)
    fit(trainer, tiny_task())
    names = ["best.ckpt", "last.ckpt", "stage-1.ckpt", "stage-2.ckpt", "stage-3.ckpt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    best = min((4, 5), key=scores.__getitem__)
    saved = read_checkpoint(tmp_path / "best.ckpt")
    assert kept(trainer).best_epoch.epoch == best
    assert kept(trainer).best_epoch.score == pytest.approx(scores[best])
    assert saved["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"] == best + 1
    assert saved["darkroom"] == {"task": "tiny"}
    ends = [read_checkpoint(tmp_path / f"stage-{n}.ckpt")["global_step"] for n in (1, 2, 3)]
    assert ends == [4, 8, 18]


def test_temporary_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.123.partial").write_bytes(b"half")
    fit(tiny_trainer(tmp_path), tiny_task())
    assert not list(tmp_path.glob(".*"))


class Explodes(TinyTask):
    """Has a non-finite loss at one step."""

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        loss = self.losses(batch)["loss"]
        return {"loss": loss * float("nan") if self.global_step == 5 else loss}


def test_non_finite_loss_stops_the_run_and_names_the_images(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path, every_n_steps=10_000)
    with pytest.raises(NonFiniteError, match=r"the loss is nan at step 6, on the images image \d, image"):
        fit(trainer, Explodes(net=TinyNet()))
    saved = read_checkpoint(tmp_path / "last.ckpt")
    assert saved["global_step"] == 4
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())


def test_non_finite_weights_are_not_saved(tmp_path: Path) -> None:
    class Poison(Callback):
        def on_train_batch_end(
            self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if trainer.global_step == 3:
                pl_module.net.head.bias.data.fill_(float("inf"))

    trainer = tiny_trainer(tmp_path, extra=[Poison()], every_n_steps=1)
    with pytest.raises(NonFiniteError, match=r"net\.head\.bias is no longer finite after step 3"):
        fit(trainer, tiny_task())
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 2


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_saves_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    class Send(Callback):
        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            if trainer.global_step == 10:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    trainer = tiny_trainer(tmp_path, every_n_steps=10_000)
    trainer.callbacks[-1:-1] = [SaveOnSignal(kept(trainer)), Send()]
    with pytest.raises(InterruptedRunError, match="stopped at step 11, saved as"):
        fit(trainer, tiny_task())
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 11
    assert signal.getsignal(number) == before
