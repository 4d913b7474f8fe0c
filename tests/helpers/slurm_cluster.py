"""A temporary Slurm cluster: controller and two nodes on this host, with all files in one folder."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning.fabric.plugins.environments.lightning import find_free_network_port

from tests.helpers.clusters import environment, wait_for

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")


def missing() -> str:
    """Why Slurm cannot be started here; empty if it can."""
    if os.geteuid() != 0:
        return "slurmd needs root"
    return ", ".join(program for program in PROGRAMS if shutil.which(program) is None)


@dataclass(frozen=True)
class Slurm:
    """A running cluster.

    Args:
        folder: folder of its files.
    """

    folder: Path

    def call(self, *words: str, folder: Path | None = None, **more: str) -> str:
        """Runs one of Slurm's programs and returns its output.

        Raises:
            AssertionError: if it failed.
        """
        done = subprocess.run(
            words,
            cwd=folder or self.folder,
            env=environment(SLURM_CONF=str(self.folder / "slurm.conf"), **more),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout.strip()

    def state(self, job: str) -> dict[str, str]:
        """The fields of ``scontrol show job``."""
        words = self.call("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def logs(self) -> str:
        """The last lines of the daemons' logs."""
        return "".join(f"\n--- {log.name}\n{log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Starts a cluster of the nodes n1 and n2, two processors each, in partitions ``low`` and ``high``.

    A job in ``high`` preempts those in ``low``, which are requeued. There is no authentication; the daemons
    listen on the loopback interface only.
    """
    folder.mkdir()
    (folder / "slurm.conf").write_text(_configuration(folder), encoding="utf-8")
    surroundings = environment(SLURM_CONF=str(folder / "slurm.conf"))
    daemons = []
    try:
        for name, words in {
            "slurmctld": ["slurmctld", "-D", "-c"],
            "n1": ["slurmd", "-D", "-N", "n1"],
            "n2": ["slurmd", "-D", "-N", "n2"],
        }.items():
            with (folder / f"{name}.log").open("wb") as log:
                daemons.append(subprocess.Popen(words, env=surroundings, stdout=log, stderr=log))
        cluster = Slurm(folder)
        wait_for(lambda: _idle(cluster) == 2, seconds=120, what="two idle nodes")
        yield cluster
    finally:
        _cancel_all(folder, surroundings)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _cancel_all(folder: Path, surroundings: dict[str, str]) -> None:
    """A node that ends leaves the processes of its jobs alone."""
    for words in (["scancel", "--signal=KILL", "--full", "--user=root"], ["scancel", "--user=root"]):
        subprocess.run(words, env=surroundings, cwd=folder, timeout=30, capture_output=True, check=False)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        left = subprocess.run(["squeue", "--noheader"], env=surroundings, capture_output=True, timeout=30, check=False)
        if not left.stdout.strip():
            return
        time.sleep(0.5)


def _idle(cluster: Slurm) -> int:
    with contextlib.suppress(AssertionError):  # the controller is not up yet
        return cluster.call("sinfo", "--noheader", "--Node", "--partition=low", "--format=%t").split().count("idle")
    return 0


def _configuration(folder: Path) -> str:
    host = os.uname().nodename
    return f"""
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={find_free_network_port()}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=60
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={find_free_network_port()} CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={find_free_network_port()} CPUs=2
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE State=UP
PartitionName=high Nodes=n1,n2 PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE State=UP
"""
