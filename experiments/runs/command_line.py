"""Command lines that do something again, as the user would type them."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_line(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """The command that runs ``run.py`` with ``words``, started the way this process was.

    Args:
        words: what follows the program's name.
        environ: tells whether torchrun or Slurm started this process; of torchrun's options only the number of
            processes is known.

    >>> run_line(["--task", "segment", "--resume", "runs/segment/my cars"], {})  # doctest: +ELLIPSIS
    "python ...run.py --task segment --resume 'runs/segment/my cars'"
    >>> run_line(["--task", "sr"], {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2"})  # doctest: +ELLIPSIS
    'torchrun --nproc_per_node 2 ...run.py --task sr'
    """
    starter = ["python"]
    if "TORCHELASTIC_RUN_ID" in environ:
        starter = ["torchrun", "--nproc_per_node", environ.get("LOCAL_WORLD_SIZE", "1")]
    elif int(environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environ:
        starter = ["srun", "python"]
    return shlex.join([*starter, script(), *words])


def same_again(environ: Mapping[str, str] = os.environ) -> str:
    """The command that started this process."""
    return run_line(sys.argv[1:], environ)


def script() -> str:
    """The entry point as the user typed it, so that the line works from where they are."""
    typed = Path(sys.argv[0])
    if typed.name == "run.py":
        return str(typed)
    own, here = Path(__file__).resolve().parents[1] / "run.py", Path.cwd()
    return str(own.relative_to(here) if own.is_relative_to(here) else own)
