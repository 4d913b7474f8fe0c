"""Files that expand to far more than their size are refused before they do; damaged archives are not read."""

import json
import random
import resource
import struct
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks.checkpoints.reading import read_checkpoint
from callbacks.errors import CheckpointError
from experiments.cli.main import main
from experiments.cli.yaml_limits import yaml_fault
from models.weights.limits import values_fault
from models.weights.pretrained import WeightsError, read_state_dict
from tests.helpers.tiny_run import TinyRuns


def yaml_bomb(*, flow: bool = False) -> str:
    """370 characters for 10^10 values."""
    lines, names = [f"a: &a [{','.join('x' * 10)}]"], "abcdefghij"
    lines += [f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]" for before, name in pairwise(names)]
    return "{" + ",".join(lines) + "}" if flow else "\n".join(lines)


def merge_bomb() -> str:
    """The same by merge keys, which copy the keys of mappings while a file is read."""
    lines, names = ["a: &a {x: 1}"], "abcdefghij"
    lines += [f"{name}: &{name} {{<<: [{','.join([f'*{before}'] * 10)}]}}" for before, name in pairwise(names)]
    return "\n".join(lines)


def value_bomb() -> list[Any]:
    row: list[Any] = ["x"] * 10
    for _ in range(9):
        row = [row] * 10
    return row


def memory() -> int:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *, message: str) -> None:
    before, start = memory(), time.monotonic()
    assert main(words) == 2
    assert time.monotonic() - start < 20
    assert memory() - before < 200
    lines = [line for line in capsys.readouterr().err.splitlines() if "run.py:" in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert len(lines[0]) < 400


@pytest.mark.parametrize("bomb", [yaml_bomb(), merge_bomb(), "x: " + "[" * 500 + "]" * 500, "- " * 5000 + "x"])
def test_configuration_files(bomb: str, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.place / "bomb.yaml").write_text(bomb, encoding="utf-8")
    refused(tiny.words("--config", "bomb.yaml"), capsys, message="bomb.yaml is not read: it ")


@pytest.mark.parametrize(
    "value", ["9" * 6000, "0x" + "f" * 90_000, "1" + ":1" * 3000, "!!int x", "!!float x", "!!bool x", "!!timestamp x"]
)
def test_values_that_cannot_be_built(value: str, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.place / "odd.yaml").write_text(f"trainer: {{max_epochs: {value}}}", encoding="utf-8")
    refused(tiny.words("--config", "odd.yaml"), capsys, message="odd.yaml ")
    refused(tiny.words("--trainer.max_epochs", value), capsys, message="")
    refused(tiny.words("--seed", value), capsys, message="")
    refused(tiny.words("--stages.0.lr", value), capsys, message="")


def test_huge_files(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    refused(tiny.words("--config", "/dev/zero"), capsys, message="/dev/zero is not read: it has")


@pytest.mark.parametrize(
    "option", ["--model.net", "--trainer.logger", "--trainer.max_epochs", "--data.root", "--stages", "--stages.0.lr"]
)
def test_the_command_line(option: str, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    refused(tiny.words(option, yaml_bomb(flow=True)), capsys, message="it expands to more than 20000 values")


def test_strings_and_files_that_a_configuration_names(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.place / "net.yaml").write_text(yaml_bomb(), encoding="utf-8")
    for settings in ({"trainer": {"max_epochs": yaml_bomb(flow=True)}}, {"model": {"net": "net.yaml"}}):
        (tiny.place / "outer.json").write_text(json.dumps(settings), encoding="utf-8")
        refused(tiny.words("--config", "outer.json"), capsys, message="it expands to more than 20000 values")


def test_records_of_checkpoints(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    good = torch.load(tiny.folder() / "checkpoints/best.ckpt", weights_only=True)
    net = {"class_path": "models.UNet", "init_args": {"widths": value_bomb()}}
    text = {"class_path": "models.UNet", "init_args": {"classes": yaml_bomb(flow=True)}}
    for model in ({"net": net}, {"net": text}):
        torch.save({**good, "darkroom": {**good["darkroom"], "model": model}}, tiny.place / "bomb.ckpt")
        capsys.readouterr()
        refused(["--task", "segment", "test", "--ckpt_path", "bomb.ckpt"], capsys, message="it expands to more than")


@pytest.mark.parametrize("value", [torch.zeros(3), b"bytes", 1j])
def test_records_of_other_values(value: Any, tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    assert tiny.run() == 0
    good = torch.load(tiny.folder() / "checkpoints/best.ckpt", weights_only=True)
    torch.save({**good, "darkroom": {**good["darkroom"], "model": {"net": value}}}, tiny.place / "odd.ckpt")
    capsys.readouterr()
    refused(
        ["--task", "segment", "test", "--ckpt_path", "odd.ckpt"], capsys, message="that is not used: Object of type"
    )


def test_ordinary_yaml_is_accepted() -> None:
    for text in (
        "",
        "a: 1",
        "a: &x {b: [1, 2]}\nc: *x\nd: {<<: *x, e: 3}",
        "[1, 2",
        "*nothing",
        f"x: {list(range(9000))}",
    ):
        assert yaml_fault(text) is None
    assert yaml_fault("a: &a [1, *a]") == "it contains itself (alias a)"


def test_values_are_counted_with_what_they_share() -> None:
    assert values_fault({"a": [1, 2], "b": {"c": torch.zeros(3, 4).t()}}) is None
    assert values_fault([[1], [1]], max_values=5) is None  # the outer list, two inner ones, two numbers
    assert values_fault([[1], [1]], max_values=4) == "it expands to more than 4 values"
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert values_fault(deep) == "it is nested more than 64 levels deep"
    while deep:  # Python frees nested lists recursively, up to a limit
        deep = deep.pop()
    loop: list[Any] = []
    loop.append(loop)
    assert values_fault(loop) == "a value contains itself"
    huge = torch.zeros(1).expand(10**6, 10**6)
    assert values_fault({"a": huge}) == "a tensor of shape (1000000, 1000000) has only 4 bytes"


def compressed(path: Path, source: Path, *, extra: int = 0) -> Path:
    """The archive again, with all parts compressed, and a part of so many zeros."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
        if extra:
            with new.open("archive/data/zeros", "w") as file:
                for _ in range(extra // 2**20):
                    file.write(bytes(2**20))
    return path


def test_compressed_archives(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(10)}, tmp_path / "plain.ckpt")
    bomb = compressed(tmp_path / "bomb.ckpt", tmp_path / "plain.ckpt", extra=2**29)
    assert bomb.stat().st_size < 10**6
    before, start = memory(), time.monotonic()
    with pytest.raises(CheckpointError, match=r"is compressed, which torch\.save never does"):
        read_checkpoint(bomb)
    with pytest.raises(WeightsError, match=r"is compressed, which torch\.save never does"):
        read_state_dict(bomb)
    assert memory() - before < 100
    assert time.monotonic() - start < 2


def test_views_of_one_number(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "bomb.ckpt")
    for read in (read_checkpoint, read_state_dict):
        with pytest.raises(
            (CheckpointError, WeightsError), match=r"a tensor of shape \(1000000, 1000000\) has only 4 bytes"
        ):
            read(tmp_path / "bomb.ckpt")


def equal(a: Any, b: Any) -> bool:
    return list(a) == list(b) and all(
        torch.equal(a[name], b[name]) if name == "w" else a[name] == b[name] for name in a
    )


def test_every_bit_of_the_directory(tmp_path: Path) -> None:
    """One flipped bit: the file is refused in one way, or it still holds exactly what was saved."""
    path = tmp_path / "last.ckpt"
    content = {"w": torch.arange(5.0), "epoch": 3, "name": "run"}
    torch.save(content, path)
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", whole[end + 16 : end + 20])[0]
    places = range(start if start < len(whole) else whole.index(b"PK\x01\x02"), len(whole))
    refusals = 0
    for place in places:
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                assert equal(read_checkpoint(path), content), (place - places.start, bit)
            except CheckpointError:
                refusals += 1
    assert refusals > len(places)  # far more than one bit of every byte matters


def test_a_damaged_last_checkpoint_leaves_that_of_the_same_step(
    tiny: TinyRuns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged in place, as by a disk: the other names are not the same file."""
    assert tiny.run("--stages", "[{name: one, size: 32, batch_size: 4, epochs: 1, lr: 0.01}]") == 0
    last = tiny.folder() / "checkpoints/last.ckpt"
    with last.open("r+b") as file:
        file.seek(-30, 2)
        byte = file.read(1)
        file.seek(-30, 2)
        file.write(bytes([byte[0] ^ 4]))
    assert main(["--task", "segment", "--resume"]) == 0
    out = capsys.readouterr().out
    assert "skipped as damaged: runs/segment/sample/checkpoints/last.ckpt" in out
    assert "is complete" in out


def test_resume_takes_the_checkpoint_before(tiny: TinyRuns, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of the whole directory, as the command line meets them."""
    assert tiny.run() == 0
    last = tiny.folder() / "checkpoints/last.ckpt"
    whole = last.read_bytes()
    start = whole.index(b"PK\x01\x02")
    from experiments.runs.checkpoint import load_newest
    from experiments.runs.folder import RunFolder

    generator = random.Random(0)
    damaged_runs = 0
    for place in generator.sample(range(start, len(whole)), 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.randrange(8)
        last.write_bytes(damaged)
        checkpoint, content = load_newest(RunFolder(tiny.folder()), "segment")
        assert content["global_step"] > 0
        damaged_runs += checkpoint.path != last
    assert damaged_runs > 50
    assert "Resuming from" in capsys.readouterr().out
