"""Supervision of ranks: all end after a failure, and the first error is printed last.

Each case is a separate program, because the supervision acts when its program ends.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callbacks.distributed.error_files import (
    FOLDER,
    LAUNCHER,
    errors_folder,
    first_error,
    is_cause,
    launcher_pid,
    remove_errors_folder,
    write_error,
)

ROOT = Path(__file__).parents[1]
HEAD = r"""
import subprocess, sys, tempfile, time
from pathlib import Path
from callbacks.distributed import child_processes
from callbacks.distributed.error_files import write_error
child_processes.GRACE = child_processes.GRACE_AFTER_CAUSE = 1.0
errors = Path(tempfile.mkdtemp(dir="."))
def child(code):
    code = "import os, signal, sys, time, faulthandler; faulthandler.enable()\n" + code
    return subprocess.Popen([sys.executable, "-c", code])
"""
RAISES = (
    f"sys.path[:0] = [{str(ROOT)!r}]; from pathlib import Path;"
    "from callbacks.distributed.error_files import write_error;"
    "write_error(Path(os.environ['ERRORS']), 'process 1: the reason', rank=1, consequence=False); sys.exit(1)"
)


def run(body: str, folder: Path) -> tuple[int, str]:
    """Runs such a program; returns exit code and output."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]{HEAD}{body}"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert list(folder.iterdir()) == []  # the errors' folder is gone
    return done.returncode, done.stdout


def test_error_of_another_rank_is_printed_after_own_error(tmp_path: Path) -> None:
    body = f"""
import os
os.environ["ERRORS"] = str(errors)
child_processes.ChildProcesses([child({RAISES!r})], errors)
time.sleep(0.5)
write_error(errors, "process 0: connection closed", rank=0, consequence=True)
raise RuntimeError("connection closed")
"""
    code, said = run(body, tmp_path)
    assert code == 1
    assert "RuntimeError: connection closed" in said
    assert said.splitlines()[-1] == "run.py: process 1: the reason"


def test_killed_rank_is_named(tmp_path: Path) -> None:
    body = """
child_processes.ChildProcesses([child("time.sleep(60)"), child("os.kill(os.getpid(), signal.SIGKILL)")], errors)
write_error(errors, "process 0: connection closed", rank=0, consequence=True)
sys.exit(3)
"""
    start = time.monotonic()
    code, said = run(body, tmp_path)
    assert code == 3
    assert time.monotonic() - start < 30
    assert said.splitlines()[-1].startswith("run.py: process 2 failed first: it was killed by SIGKILL")


def test_hanging_rank_prints_its_stack(tmp_path: Path) -> None:
    body = """
child_processes.ChildProcesses([child("def somewhere(): time.sleep(60)\\nsomewhere()")], errors)
write_error(errors, "process 0: timed out", rank=0, consequence=True)
sys.exit(1)
"""
    code, said = run(body, tmp_path)
    assert code == 1
    assert "in somewhere" in said
    assert said.splitlines()[-1].startswith("run.py: process 1 did not respond and was terminated")


def test_rank_zero_has_a_timeout_too(tmp_path: Path) -> None:
    body = """
child_processes.ChildProcesses([child("sys.exit(7)")], errors)
def waits(): time.sleep(60)
waits()
"""
    start = time.monotonic()
    code, said = run(body, tmp_path)
    assert code == 1
    assert time.monotonic() - start < 30
    assert "in waits" in said
    assert said.splitlines()[-1] == "run.py: process 1 failed first: it ended with code 7"


@pytest.mark.parametrize("code", [0, 75])
def test_requested_stop_prints_nothing(tmp_path: Path, code: int) -> None:
    body = f"child_processes.ChildProcesses([child('time.sleep(2); sys.exit({code})')], errors)\nsys.exit({code})"
    start = time.monotonic()
    assert run(body, tmp_path) == (code, "")
    assert time.monotonic() - start > 2


def test_error_common_to_all_ranks_is_printed_once(tmp_path: Path) -> None:
    body = """
write_error(errors, "process 1 failed first:\\nno image", rank=1, consequence=False)
write_error(errors, "process 0 failed first:\\nno image", rank=0, consequence=False)
child_processes.ChildProcesses([child("sys.exit(2)")], errors)
print("no image", flush=True)
sys.exit(2)
"""
    assert run(body, tmp_path) == (2, "no image\n")


def test_own_error_is_repeated_after_consequences_on_other_ranks(tmp_path: Path) -> None:
    body = """
write_error(errors, "process 0 failed first:\\nno image", rank=0, consequence=False)
write_error(errors, "process 1 failed first:\\nconnection closed", rank=1, consequence=True)
child_processes.ChildProcesses([child("print('connection closed', flush=True); sys.exit(1)")], errors)
print("no image", flush=True)
sys.exit(2)
"""
    code, said = run(body, tmp_path)
    assert code == 2
    assert said.splitlines()[-2:] == ["run.py: process 0 failed first:", "no image"]


def test_ranks_waiting_for_a_failed_rank_end_silently(tmp_path: Path) -> None:
    body = """
write_error(errors, "process 0 failed first:\\nno image", rank=0, consequence=False)
child_processes.ChildProcesses([child("time.sleep(60)")], errors)
sys.exit(2)
"""
    start = time.monotonic()
    assert run(body, tmp_path) == (2, "")
    assert time.monotonic() - start < 30


def test_only_a_launched_process_has_a_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCHER, raising=False)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert launcher_pid() is None
    monkeypatch.setenv(LAUNCHER, str(os.getppid()))
    assert launcher_pid() == os.getppid()
    remove_errors_folder()
    assert errors_folder() == tmp_path  # it is not this process' own
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    assert launcher_pid() is None
    remove_errors_folder()
    assert errors_folder() is None


def test_cause_is_sorted_before_an_earlier_consequence(tmp_path: Path) -> None:
    write_error(tmp_path, "lost", rank=0, consequence=True)
    write_error(tmp_path, "late", rank=2, consequence=False)
    write_error(tmp_path, "later", rank=1, consequence=False)
    write_error(tmp_path, "again", rank=2, consequence=False)
    first = first_error(tmp_path)
    assert first is not None
    assert first.read_text(encoding="utf-8") == "late"
    assert is_cause(first)
    assert sorted(file.read_text(encoding="utf-8") for file in tmp_path.iterdir()) == ["late", "later", "lost"]
