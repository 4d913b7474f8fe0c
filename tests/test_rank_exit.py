"""A rank ends with its own exit code even if a thread calls torch while Python ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.clusters import environment, finished, place, program
from tests.helpers.ranks import on_ranks

PROGRAM = """
import atexit, sys
from callbacks.distributed import rank_exit
rank_exit.install()
from tests.helpers.failing import compute_for_ever
atexit.register(lambda: print("closed", end=""))
rank_exit.skip_finalization()
compute_for_ever()
{end}
"""


@pytest.mark.parametrize(
    ("end", "expected"),
    [("rank_exit.set_exit_code(75); sys.exit(75)", 75), ("rank_exit.set_exit_code(0)", 0), ("raise KeyError(3)", 1)],
)
def test_exit_functions_run_and_the_code_is_kept(tmp_path: Path, end: str, expected: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == expected, done.stderr
    assert done.stdout == "closed"
    assert ("KeyError: 3" in done.stderr) == (expected == 1)


@pytest.mark.slow
def test_both_ranks_of_a_finished_run_end_with_0(tmp_path: Path) -> None:
    words = ["--trust-config", "--trainer.callbacks+=tests.helpers.failing.Computing", "--trainer.devices", "2"]
    code, output = finished(program("--name", "two", *words), place(tmp_path))
    assert code == 0, output[-3000:]
    assert "failed first" not in output


def compute_and_return() -> int:
    from tests.helpers.failing import compute_for_ever

    compute_for_ever()
    return 3


def test_ranks_of_the_tests_end_with_0() -> None:
    assert on_ranks(2, compute_and_return) == [3, 3]
