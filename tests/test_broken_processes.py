"""If a rank raises, is killed or hangs, the others end within a minute and the first error is printed last."""

import time
from pathlib import Path

import pytest
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from tests.helpers.clusters import ROOT, WORDS, breaking, finished, place, program

pytestmark = pytest.mark.cluster
#: Minutes that processes wait for one that hangs: longer than a step on a busy machine.
TIMEOUT = 1.0


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images."""
    return place(tmp_path_factory.mktemp("broken"))


@pytest.mark.parametrize(
    ("rank", "how", "reason"),
    [
        (0, "raise", "ArithmeticError: broken on purpose"),
        (1, "raise", "ArithmeticError: broken on purpose"),
        (0, "die", "run.py: process 0 has ended, so this process ends too"),
        (1, "die", "run.py: process 1 failed first: it was killed by SIGKILL"),
        (1, "hang", "run.py: process 1 did not respond and was terminated"),
        (1, "stop", "run.py: process 1 did not respond and was terminated"),
    ],
)
def test_all_ranks_end_and_the_first_error_is_printed_last(here: Path, rank: int, how: str, reason: str) -> None:
    once = here / f"{how}{rank}"
    hangs = how in ("hang", "stop")
    words = [*breaking(rank=rank, step=3, how=how, once=once), *(["--ddp.timeout", str(TIMEOUT)] if hangs else [])]
    command = program("--name", f"{how}{rank}", "--trainer.devices", "2", *words)
    code, said = finished(command, here)  # back when the last process has let go of the output
    assert once.exists(), said[-3000:]
    waited = time.time() - once.stat().st_mtime - (60 * TIMEOUT if hangs else 0)
    assert code != 0
    last = said.rstrip().splitlines()[-1].removeprefix("[rank0]: ")  # torch writes that before its own tracebacks
    assert last.startswith(reason), said[-3000:]
    assert waited < 60


def test_torchrun_prints_the_first_error_last(here: Path) -> None:
    command = ["bash", str(ROOT / "experiments" / "cluster" / "torchrun.sh"), *WORDS]
    words = breaking(rank=1, step=3, how="raise", once=here / "torchrun")
    code, said = finished([*command, *words], here, DEVICES="2", RESTARTS="0", PORT=str(find_free_network_port()))
    assert code == 1
    summary = said[said.index("Root Cause (first observed failure)") :]
    assert "rank      : 1 " in summary
    assert "ArithmeticError: broken on purpose" in summary
    assert time.time() - (here / "torchrun").stat().st_mtime < 60
