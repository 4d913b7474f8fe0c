"""The launch files, with Slurm's programs and torchrun replaced by a few lines of shell."""

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
# What they were asked is written down; names resolve unless they begin with "lost".
PROGRAMS = {
    "python": 'echo "python $*" >> asked; exit "${PYTHON_CODE:-0}"',
    "scontrol": 'echo "scontrol $*" >> asked; [[ $1 == requeue ]] || echo ${NODES_OF_JOB:-node01 node02}',
    "getent": '[[ $2 != lost* ]] && echo "10.0.0.1 $2"',
    "srun": """
echo "srun $*" >> asked
[[ $* == *getent* ]] && exec getent ahosts "${LOST_ELSEWHERE:-$MASTER_ADDR}"
[[ -n ${LEFT:-} ]] && echo "process 3 failed first: a reason" > "$DARKROOM_ERRORS/$LEFT"
exit "${TRAIN_CODE:-0}"
""",
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder to start from, with programs in ``bin``."""
    (tmp_path / "bin").mkdir()
    for name, body in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/usr/bin/env bash\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
    for name in ("bash", "env", "hostname", "date", "rm", "mkdir", "cat", "readlink", "dirname", "sleep"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def launch(script: Path, here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    surroundings = {"PATH": str(here / "bin"), **environment}
    command = ["bash", str(script), *words]
    return subprocess.run(command, cwd=here, env=surroundings, capture_output=True, text=True, timeout=60, check=False)


def sbatch(here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return launch(SLURM, here, *words, **(JOB | environment))


def torchrun(here: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return launch(TORCHRUN, here, *words, **({"DEVICES": "2"} | environment))


def asked(here: Path) -> list[str]:
    file = here / "asked"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def test_the_job_starts_one_process_a_gpu(here: Path) -> None:
    done = sbatch(here, *WORDS)
    assert (done.returncode, done.stderr) == (0, "")
    show, meet, train = asked(here)
    assert show == "scontrol show hostnames node[01-02]"
    assert meet == "srun --ntasks=2 --ntasks-per-node=1 --cpus-per-task=1 getent ahosts node01"
    assert f"python {CLONE}/experiments/run.py {' '.join(WORDS)} --trainer" in train
    assert train.endswith("--trainer.devices 4 --trainer.num_nodes 2")
    assert "--wait=30" in train
    assert [file.name for file in here.iterdir() if file.name.startswith(".")] == []


def test_processes_that_predict_may_end_one_by_one(here: Path) -> None:
    sbatch(here, "--task", "segment", "predict", "images")
    assert "--wait=0" in asked(here)[-1]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SLURM_JOB_ID": ""}, "this is no job of Slurm"),
        ({"SLURM_NTASKS_PER_NODE": ""}, "say --ntasks-per-node"),
        ({"SLURM_NTASKS": "6"}, "6 tasks are not 4 on each of 2 nodes"),
        ({"SLURM_GPUS_ON_NODE": "8"}, "a node has 4 tasks and 8 GPUs"),
        ({"SLURM_GPUS_PER_TASK": "1"}, "use --gpus-per-node"),
        ({"NODES_OF_JOB": "node01 lost02"}, "the name of node 'lost02' does not resolve"),
        ({"MASTER_ADDR": "lost01"}, "'lost01', where the processes are to meet, does not resolve"),
        ({"LOST_ELSEWHERE": "lost"}, "'node01', where the processes are to meet, does not resolve"),
        ({"SLURM_SUBMIT_DIR": "/nowhere"}, "there is no /nowhere/experiments/run.py"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_starts(here: Path, environment: dict[str, str], said: str) -> None:
    done = sbatch(here, *WORDS, **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("slurm.sbatch:") == 1
    assert not [line for line in asked(here) if "run.py" in line]


@pytest.mark.parametrize(("gone", "said"), [("srun", "there is no srun on"), ("python", "there is no 'python' on")])
def test_a_program_that_is_missing_is_named(here: Path, gone: str, said: str) -> None:
    (here / "bin" / gone).unlink()
    done = sbatch(here, *WORDS)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_number_of_processes_is_said_once(here: Path) -> None:
    done = sbatch(here, *WORDS, "--trainer.devices=8")
    assert done.returncode == 2
    assert "leave --trainer.devices out" in done.stderr
    assert "what shall be trained?" in sbatch(here).stderr


def test_a_stopped_job_is_queued_again_up_to_a_limit(here: Path) -> None:
    assert sbatch(here, *WORDS, TRAIN_CODE="75", SLURM_RESTART_COUNT="49").returncode == 75
    assert asked(here)[-1] == "scontrol requeue 42"
    (here / "asked").unlink()
    done = sbatch(here, *WORDS, TRAIN_CODE="75", SLURM_RESTART_COUNT="50")
    assert "not queued again: it was 50 times" in done.stderr
    assert "scontrol requeue 42" not in asked(here)


def test_a_job_that_failed_is_not_queued_again_and_says_why_last(here: Path) -> None:
    done = sbatch(here, *WORDS, TRAIN_CODE="137", LEFT="0-1-3.txt")
    assert done.returncode == 137
    assert done.stderr.splitlines()[-1] == "process 3 failed first: a reason"
    assert "scontrol requeue 42" not in asked(here)


def test_a_process_that_was_killed_is_said_last(here: Path) -> None:
    done = sbatch(here, *WORDS, TRAIN_CODE="137", LEFT="1-1-3.txt")
    assert done.stderr.splitlines()[-1].startswith("slurm.sbatch: a process was killed by signal 9 without a word")


def test_torchrun_is_started_with_the_runs_name(here: Path) -> None:
    assert torchrun(here, *WORDS, RUN="cars").returncode == 0
    (line,) = asked(here)
    assert "--nnodes 1 --nproc_per_node 2 --max_restarts 3 --rdzv_id cars" in line
    assert line.endswith("--name cars --trainer.devices 2 --trainer.num_nodes 1")
    torchrun(here, *WORDS, "--resume", "cars")
    assert "--name" not in asked(here)[-1]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"MASTER": "lost"}, "MASTER=lost does not resolve"),
        ({"NODES": "2", "NODE": "2"}, "numbered from 0 to 1"),
        ({"PYTHON": "python5"}, "there is no 'python5'"),
    ],
)
def test_torchruns_mistakes_are_one_sentence(here: Path, environment: dict[str, str], said: str) -> None:
    done = torchrun(here, *WORDS, **environment)
    assert done.returncode == 2
    assert said in done.stderr
    assert asked(here) == []


def test_torchruns_exit_code_goes_through(here: Path) -> None:
    assert torchrun(here, *WORDS, PYTHON_CODE="7").returncode == 7


def test_a_signal_becomes_a_polite_end(here: Path) -> None:
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
    _, said = process.communicate(timeout=30)
    assert process.returncode == 75
    assert said.splitlines()[-1].startswith("torchrun.sh: stopped; what was saved, and how to go on, stands above")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("script", [SLURM, TORCHRUN], ids=lambda path: path.name)
def test_the_launch_files_are_clean_shell(script: Path) -> None:
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout == ""
