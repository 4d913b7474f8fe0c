"""The folder of a run, which all of its processes agree on."""

import os
from pathlib import Path

import pytest

from experiments.cli.arguments import NEWEST, Arguments, read_arguments
from experiments.cli.usage import UsageError
from experiments.runs.folder import RunFolder, relative_to_here
from experiments.runs.selection import (
    find_run,
    folder_of_checkpoint,
    new_run,
    restarted_run,
    share_with_ranks,
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def request(*words: str) -> Arguments:
    return read_arguments(["--task", "segment", *words])


def trained(name: str, *, age: int = 0) -> Path:
    folder = Path("runs/segment") / name
    (folder / "checkpoints").mkdir(parents=True)
    for checkpoint in ("best.ckpt", "last.ckpt"):
        file = folder / "checkpoints" / checkpoint
        file.write_bytes(b"x")
        os.utime(file, (1e9 - age, 1e9 - age))
    return folder


def test_run_is_named_after_its_recipe_and_numbered() -> None:
    assert new_run(request(), {}).path == Path("runs/segment/sample")
    trained("sample")
    assert new_run(request(), {}).path == Path("runs/segment/sample-2")
    trained("sample-2")
    assert new_run(request(), {}).path == Path("runs/segment/sample-3")
    assert new_run(request("--recipe", "camvid"), {}).path == Path("runs/segment/camvid")
    assert new_run(request("--runs", "elsewhere"), {}).path == Path("elsewhere/segment/sample")


def test_existing_folder_without_a_run_is_used() -> None:
    Path("runs/segment/sample").mkdir(parents=True)
    Path("runs/segment/sample/lr_find.png").write_bytes(b"x")
    assert new_run(request(), {}).path.name == "sample"
    Path("runs/segment/sample/events.out.tfevents.1").write_bytes(b"x")  # of a run that never saved anything
    assert new_run(request("--name", "sample"), {}).path.name == "sample"


def test_remains_of_a_killed_run_are_removed() -> None:
    folder = RunFolder(Path("runs/segment/sample"))
    (folder.figures).mkdir(parents=True)
    half, log, other = folder.path / ".config.yaml.7.partial", folder.path / "events.out.tfevents.1", folder.path / "x"
    drawn = folder.figures / ".a.png.7.partial"
    for file in (half, log, other, drawn):
        file.write_bytes(b"x")
    folder.remove_leftovers()
    assert [file.exists() for file in (half, drawn, log, other)] == [False, False, False, True]
    trained("mine")
    log = Path("runs/segment/mine/events.out.tfevents.1")
    log.write_bytes(b"x")
    RunFolder(log.parent).remove_leftovers()
    assert log.exists()


def test_used_name_is_refused() -> None:
    trained("mine")
    with pytest.raises(UsageError, match=r"runs/segment/mine already holds a run: .* --resume runs/segment/mine"):
        new_run(request("--name", "mine"), {})


def test_resume_finds_the_newest_run_a_name_and_a_folder() -> None:
    trained("old", age=100)
    newest = trained("new", age=10)
    trained("older", age=200)
    assert find_run(request(), NEWEST, {}).path == newest
    assert find_run(request(), "old", {}).path == Path("runs/segment/old")
    assert find_run(request(), str(Path("runs/segment/older").resolve()), {}).path.name == "older"


def test_resume_names_what_is_missing() -> None:
    with pytest.raises(UsageError, match="there is no run of segment in runs/segment yet"):
        find_run(request(), NEWEST, {})
    trained("mine")
    with pytest.raises(UsageError, match=r"there is no run 'mien' .* did you mean 'mine'"):
        find_run(request(), "mien", {})
    Path("runs/segment/empty").mkdir()
    with pytest.raises(UsageError, match="runs/segment/empty has no checkpoint"):
        find_run(request(), "empty", {})


def test_launched_ranks_use_the_folder_of_rank_zero() -> None:
    first = new_run(request(), os.environ)
    share_with_ranks(first)
    trained("sample")  # the first process has begun to write
    child = {**os.environ, "LOCAL_RANK": "1"}
    assert new_run(request(), child).path == first.path.resolve()
    assert find_run(request(), NEWEST, child).path == first.path.resolve()
    # A second run of the same first process does not inherit it.
    assert new_run(request(), os.environ).path.name == "sample-2"


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"SLURM_JOB_ID": "42", "SLURM_PROCID": "1"}, "sample-42"),
        ({"SLURM_JOB_ID": "42"}, "sample"),  # a shell inside an allocation
        ({"TORCHELASTIC_RUN_ID": "abc", "LOCAL_RANK": "1"}, "sample-abc"),
        ({"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0"}, "sample"),
    ],
)
def test_run_is_named_after_its_slurm_job(environ: dict[str, str], name: str) -> None:
    assert new_run(request(), environ).path.name == name


def test_requeued_job_resumes_its_run() -> None:
    job = {"SLURM_JOB_ID": "42", "SLURM_PROCID": "0"}
    assert restarted_run(request(), job) is None
    assert restarted_run(request(), {**job, "SLURM_RESTART_COUNT": "1"}) is None  # nothing was saved before
    trained("sample-42")
    assert restarted_run(request(), {**job, "SLURM_RESTART_COUNT": "0"}) is None
    found = restarted_run(request(), {**job, "SLURM_RESTART_COUNT": "1"})
    assert found is not None
    assert found.path.name == "sample-42"


def test_last_checkpoint_precedes_links_of_equal_age() -> None:
    assert [file.name for file in RunFolder(trained("a")).checkpoint_files] == ["last.ckpt", "best.ckpt"]


def test_run_folder_of_a_checkpoint() -> None:
    assert folder_of_checkpoint(Path("x/checkpoints/best.ckpt"), request("test")).path == Path("x")
    assert folder_of_checkpoint(Path("downloads/cars.ckpt"), request("test")).path == Path("runs/segment/cars")


def test_paths_are_printed_relative_to_cwd(tmp_path: Path) -> None:
    assert relative_to_here(tmp_path / "a" / "b") == Path("a/b")
    assert relative_to_here(tmp_path.parent / "b") == tmp_path.parent / "b"


def test_ambiguous_newest_run_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    trained("old", age=100)
    find_run(request(), NEWEST, {})
    assert capsys.readouterr().out == ""
    ahead = trained("ahead")
    os.utime(ahead / "checkpoints/last.ckpt", (4e9, 4e9))
    assert find_run(request(), NEWEST, {}).path == ahead
    assert (
        "the clock was set back: runs/segment/ahead/checkpoints/last.ckpt is dated in the future"
        in capsys.readouterr().out
    )
