"""Every launcher of one host ends a run with the same weights, bit for bit."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from tests.helpers.clusters import (
    ROOT,
    STEPS,
    WORDS,
    assert_same_end,
    breaking,
    finished,
    last,
    place,
    program,
    started,
)

pytestmark = pytest.mark.cluster
TORCHRUN = ["bash", str(ROOT / "experiments" / "cluster" / "torchrun.sh"), *WORDS]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and the run ``whole``: one command, two processes."""
    folder = place(tmp_path_factory.mktemp("cluster"))
    code, said = finished(program("--name", "whole", "--trainer.devices", "2"), folder)
    assert code == 0, said[-3000:]
    return folder


def test_one_command_with_two_processes(here: Path) -> None:
    assert last(here, "whole")["global_step"] == STEPS


def test_torchrun_with_two_processes(here: Path) -> None:
    code, said = finished(TORCHRUN, here, RUN="torchrun", DEVICES="2", PORT=str(find_free_network_port()))
    assert code == 0, said[-3000:]
    assert_same_end(last(here, "whole"), last(here, "torchrun"))


def test_two_nodes_on_loopback(here: Path) -> None:
    nodes = {
        "RUN": "nodes",
        "NODES": "2",
        "DEVICES": "1",
        "ADDRESS": "127.0.0.1",
        "PORT": str(find_free_network_port()),
    }
    with ExitStack() as stack:
        both = [stack.enter_context(started(TORCHRUN, here, **nodes, NODE=str(node))) for node in (0, 1)]
        said = [process.communicate(timeout=900)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0], "\n".join(said)[-3000:]
    assert_same_end(last(here, "whole"), last(here, "nodes"))


@pytest.mark.parametrize("attempt", range(int(os.environ.get("DARKROOM_TRIES", "1"))))
def test_torchrun_restarts_from_the_newest_checkpoint(here: Path, attempt: int) -> None:
    """DARKROOM_TRIES=10 runs ten cases with different ranks, steps and failures."""
    run, once = f"restart{attempt}", here / f"broke{attempt}"
    words = breaking(rank=attempt % 2, step=1 + attempt % 7, how=("die", "raise")[attempt // 2 % 2], once=once)
    code, said = finished([*TORCHRUN, *words], here, RUN=run, DEVICES="2", PORT=str(find_free_network_port()))
    assert code == 0, said[-3000:]
    assert once.exists()
    assert f"resuming runs/segment/{run}" in said
    assert_same_end(last(here, "whole"), last(here, run))
