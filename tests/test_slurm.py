"""slurm.sbatch on a real Slurm cluster of two nodes: stopped, preempted, requeued, with the same result."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.clusters import ROOT, WORDS, assert_same_end, breaking, finished, last, place, program, wait_for
from tests.helpers.slurm_cluster import Slurm, missing, slurm

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(missing()), reason=f"no Slurm here: {missing()}")]
SLOW = ("--trust-config", "--trainer.callbacks+=tests.helpers.failing.Slow", "--trainer.callbacks.seconds=3")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images and the sbatch file, with settings for nodes without GPUs."""
    folder = place(tmp_path_factory.mktemp("job"))
    text = (ROOT / "experiments" / "cluster" / "slurm.sbatch").read_text(encoding="utf-8")
    for asked, wanted in {
        "#SBATCH --gpus-per-node=4\n": "",
        "#SBATCH --ntasks-per-node=4\n": "#SBATCH --ntasks-per-node=1\n",
        "#SBATCH --cpus-per-task=8\n": "#SBATCH --cpus-per-task=2\n",
        "darkroom=${SLURM_SUBMIT_DIR:-.}\n": f"darkroom={ROOT}\n",
    }.items():
        assert text.count(asked) == 1, asked
        text = text.replace(asked, wanted)
    (folder / "mine.sbatch").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A running Slurm cluster."""
    with slurm(tmp_path_factory.mktemp("slurm") / "etc") as running:
        yield running


def submit(cluster: Slurm, here: Path, *words: str, **environment: str) -> str:
    job = ("sbatch", "--parsable", "--partition=low", "mine.sbatch", *WORDS, *words)
    return cluster.call(*job, folder=here, **environment)


def log(here: Path, job: str) -> str:
    return (here / f"darkroom-{job}.log").read_text(encoding="utf-8")


def wait_for_state(cluster: Slurm, job: str, *states: str) -> str:
    wait_for(lambda: cluster.state(job)["JobState"] in states, seconds=900, what=f"{states} of job {job}")
    return cluster.state(job)["JobState"]


def test_stopped_and_preempted_job_equals_an_undisturbed_run(cluster: Slurm, here: Path) -> None:
    code, said = finished(program("--name", "whole", "--trainer.devices", "2"), here)
    assert code == 0, said[-3000:]
    job = submit(cluster, here, *SLOW, "--name", "job", MASTER_ADDR="127.0.0.1")
    checkpoint = here / "runs/segment/job/checkpoints/last.ckpt"
    for start in range(3):
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        wait_for(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns > seen, seconds=600, what="a step")  # noqa: B023
        if start == 0:  # what Slurm sends before the time is up
            cluster.call("scancel", "--signal=USR1", job)
        else:
            cluster.call("sbatch", "--partition=high", "--nodes=2", "--cpus-per-task=2", "--wrap=sleep 1", folder=here)
        # Not the number of restarts that Slurm tells: it counts while the job still saves.
        wait_for(lambda: f"job {job}, start {start + 2}, " in log(here, job), seconds=300, what="a new start")  # noqa: B023
    assert wait_for_state(cluster, job, "COMPLETED", "FAILED") == "COMPLETED", log(here, job)
    assert log(here, job).count("resuming runs/segment/job") == 3
    assert log(here, job).count("stopped and saved, requeueing") == 3
    assert_same_end(last(here, "whole"), last(here, "job"))


def test_unresolvable_host_name_ends_the_job_at_once(cluster: Slurm, here: Path) -> None:
    job = submit(cluster, here)
    assert wait_for_state(cluster, job, "COMPLETED", "FAILED") == "FAILED"
    assert "the name of node 'n1' does not resolve" in log(here, job)
    assert not (here / "runs/segment" / f"sample-{job}").exists()


def test_failing_rank_ends_the_job_and_is_reported_last(cluster: Slurm, here: Path) -> None:
    broken = breaking(rank=1, step=1, how="raise")
    job = submit(cluster, here, *broken, "--name", "broken", MASTER_ADDR="127.0.0.1")
    assert wait_for_state(cluster, job, "COMPLETED", "FAILED") == "FAILED"
    assert log(here, job).rstrip().splitlines()[-1] == "ArithmeticError: broken on purpose"
    assert not list(here.glob(".darkroom-errors-*"))
