"""Processing files in a pool: results in order, and every error named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.loading.parallel import map_files, raise_together

ROOT = Path(__file__).parents[1]


def halve(number: int) -> int:
    if number % 2:
        raise DataError(f"{number}: is odd")
    return number // 2


def fail(number: int) -> int:
    raise ZeroDivisionError(number)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_and_errors_keep_their_places(workers: int) -> None:
    outcomes = map_files(halve, range(50), workers=workers, title="halving")
    assert [str(outcome) for outcome in outcomes[:4]] == ["0", "1: is odd", "1", "3: is odd"]
    assert outcomes[48] == 24
    with pytest.raises(DataError, match=r"^25 files cannot be used:\n  1: is odd\n  3: is odd\n"):
        raise_together(outcomes)


def test_one_error_keeps_its_message() -> None:
    with pytest.raises(DataError, match=r"^3: is odd$"):
        raise_together([1, DataError("3: is odd"), None])
    raise_together([1, None])


@pytest.mark.parametrize("workers", [0, 2])
def test_internal_errors_are_not_reported_as_bad_data(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        map_files(fail, range(50), workers=workers, title="failing")


def test_pool_starts_while_opencv_threads_run() -> None:
    """``cv2.setNumThreads(1)`` in a forked process would wait for threads that do not exist after the fork."""
    code = (
        "import cv2, numpy, time; from datamodules.loading.parallel import map_files\n"
        "cv2.setNumThreads(2); cv2.resize(numpy.zeros((999, 999, 3), numpy.uint8), (3000, 3000)); time.sleep(0.5)\n"
        "print(sum(map_files(abs, range(50), workers=2, title='')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "1225\n"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot limit the cores of a process")
def test_no_more_loader_processes_than_cores_that_may_be_used() -> None:
    """On one core torch warns about two loader processes."""
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from datamodules.loading.loader import loader_processes\n"
        "print(*(loader_processes(wanted, processes=1) for wanted in (0, 1, 4, 'auto')))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "1", "0"]
