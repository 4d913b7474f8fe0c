"""The launch scripts, with Slurm's programs and torchrun replaced by shell stubs."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[1] / "experiments" / "cluster"
SLURM, TORCHRUN = CLUSTER / "slurm.sbatch", CLUSTER / "torchrun.sh"
CLONE = str(CLUSTER.parents[1])
WORDS = ("--task", "segment", "--recipe", "carvana")
JOB = {
    "SLURM_JOB_ID": "42",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NTASKS": "8",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_GPUS_ON_NODE": "4",
    "SLURM_CPUS_PER_TASK": "8",
    "SLURM_JOB_NODELIST": "node[01-02]",
    "SLURM_SUBMIT_DIR": CLONE,
}
# The stubs log their arguments; host names resolve unless they begin with "lost".
PROGRAMS = {
    "python": 'echo "python $*" >> calls; exit "${PYTHON_CODE:-0}"',
    "scontrol": 'echo "scontrol $*" >> calls; [[ $1 == requeue ]] || echo ${NODES_OF_JOB:-node01 node02}',
    "getent": '[[ $2 != lost* ]] && echo "10.0.0.1 $2"',
    "srun": """
echo "srun $*" >> calls
[[ $* == *getent* ]] && exec getent ahosts "${LOST_ELSEWHERE:-$MASTER_ADDR}"
[[ -n ${LEFT:-} ]] && echo "process 3 failed first: a reason" > "$DARKROOM_ERRORS/$LEFT"
exit "${TRAIN_CODE:-0}"
""",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working directory with the stubs in ``bin``."""
    (tmp_path / "bin").mkdir()
    for name, body in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/usr/bin/env bash\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
    for name in ("bash", "env", "hostname", "date", "rm", "mkdir", "cat", "readlink", "dirname", "sleep"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def launch(script: Path, here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(here / "bin"), **environment}
    command = ["bash", str(script), *words]
    return subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=60, check=False)


def sbatch(here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return launch(SLURM, here, *words, **(JOB | environment))


def torchrun(here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return launch(TORCHRUN, here, *words, **({"DEVICES": "2"} | environment))


def calls(here: Path) -> list[str]:
    file = here / "calls"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def test_slurm_starts_one_process_per_gpu(here: Path) -> None:
    done = sbatch(here, *WORDS)
    assert (done.returncode, done.stderr) == (0, "")
    show, meet, train = calls(here)
    assert show == "scontrol show hostnames node[01-02]"
    assert meet == "srun --ntasks=2 --ntasks-per-node=1 --cpus-per-task=1 getent ahosts node01"
    assert f"python {CLONE}/experiments/run.py {' '.join(WORDS)} --trainer" in train
    assert train.endswith("--trainer.devices 4 --trainer.num_nodes 2")
    assert "--wait=30" in train
    assert [file.name for file in here.iterdir() if file.name.startswith(".")] == []


def test_slurm_predict_has_no_time_limit_after_the_first_end(here: Path) -> None:
    sbatch(here, "--task", "segment", "predict", "images")
    assert "--wait=0" in calls(here)[-1]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SLURM_JOB_ID": ""}, "not running as a Slurm job"),
        ({"SLURM_NTASKS_PER_NODE": ""}, "--ntasks-per-node is missing"),
        ({"SLURM_NTASKS": "6"}, "6 tasks are not 4 on each of 2 nodes"),
        ({"SLURM_GPUS_ON_NODE": "8"}, "4 tasks and 8 GPUs per node"),
        ({"SLURM_GPUS_PER_TASK": "1"}, "use --gpus-per-node"),
        ({"NODES_OF_JOB": "node01 lost02"}, "the name of node 'lost02' does not resolve"),
        ({"MASTER_ADDR": "lost01"}, "the rendezvous address 'lost01' does not resolve"),
        ({"LOST_ELSEWHERE": "lost"}, "the rendezvous address 'node01' does not resolve"),
        ({"SLURM_SUBMIT_DIR": "/nowhere"}, "/nowhere/experiments/run.py not found"),
    ],
)
def test_slurm_mistake_is_one_line_before_the_start(here: Path, environment: dict[str, str], message: str) -> None:
    done = sbatch(here, *WORDS, **environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("slurm.sbatch:") == 1
    assert not [line for line in calls(here) if "run.py" in line]


@pytest.mark.parametrize(("gone", "message"), [("srun", "srun not found on"), ("python", "'python' not found on")])
def test_slurm_missing_program_is_named(here: Path, gone: str, message: str) -> None:
    (here / "bin" / gone).unlink()
    done = sbatch(here, *WORDS)
    assert done.returncode == 2
    assert message in done.stderr


def test_slurm_refuses_devices_and_empty_arguments(here: Path) -> None:
    done = sbatch(here, *WORDS, "--trainer.devices=8")
    assert done.returncode == 2
    assert "remove --trainer.devices:" in done.stderr
    assert "no arguments:" in sbatch(here).stderr


def test_slurm_stopped_job_is_requeued_up_to_the_limit(here: Path) -> None:
    assert sbatch(here, *WORDS, TRAIN_CODE="75", SLURM_RESTART_COUNT="49").returncode == 75
    assert calls(here)[-1] == "scontrol requeue 42"
    (here / "calls").unlink()
    done = sbatch(here, *WORDS, TRAIN_CODE="75", SLURM_RESTART_COUNT="50")
    assert "not requeued: the limit of 50 is reached" in done.stderr
    assert "scontrol requeue 42" not in calls(here)


def test_slurm_failed_job_is_not_requeued_and_prints_the_error_last(here: Path) -> None:
    done = sbatch(here, *WORDS, TRAIN_CODE="137", LEFT="0-1-3.txt")
    assert done.returncode == 137
    assert done.stderr.splitlines()[-1] == "process 3 failed first: a reason"
    assert "scontrol requeue 42" not in calls(here)


def test_slurm_killed_process_is_reported_last(here: Path) -> None:
    done = sbatch(here, *WORDS, TRAIN_CODE="137", LEFT="1-1-3.txt")
    assert done.stderr.splitlines()[-1].startswith("slurm.sbatch: a process was killed by signal 9")


def test_torchrun_gets_the_run_name(here: Path) -> None:
    assert torchrun(here, *WORDS, RUN="cars").returncode == 0
    (line,) = calls(here)
    assert "--nnodes 1 --nproc_per_node 2 --max_restarts 3 --rdzv_id cars" in line
    assert line.endswith("--name cars --trainer.devices 2 --trainer.num_nodes 1")
    torchrun(here, *WORDS, "--resume", "cars")
    assert "--name" not in calls(here)[-1]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"MASTER": "lost"}, "MASTER=lost does not resolve"),
        ({"NODES": "2", "NODE": "2"}, "machines are numbered from 0 to 1"),
        ({"PYTHON": "python5"}, "'python5' not found"),
    ],
)
def test_torchrun_mistake_is_one_line(here: Path, environment: dict[str, str], message: str) -> None:
    done = torchrun(here, *WORDS, **environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert calls(here) == []


def test_torchrun_exit_code_is_passed_on(here: Path) -> None:
    assert torchrun(here, *WORDS, PYTHON_CODE="7").returncode == 7


def test_torchrun_signal_ends_with_75(here: Path) -> None:
    python = here / "bin" / "python"
    python.write_text("#!/usr/bin/env bash\ntrap 'sleep 1; exit 1' TERM\ntouch up\nwhile :; do sleep 0.1; done\n")
    process = subprocess.Popen(
        ["bash", str(TORCHRUN), *WORDS],
        cwd=here,
        env={"PATH": str(here / "bin"), "DEVICES": "2"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not (here / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 75
    assert error.splitlines()[-1].startswith("torchrun.sh: stopped; the checkpoint and the command to resume")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", [SLURM, TORCHRUN], ids=lambda path: path.name)
def test_scripts_pass_shellcheck(script: Path) -> None:
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout == ""
