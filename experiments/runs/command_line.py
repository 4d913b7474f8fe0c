"""Commands that start or resume a run, as the user would type them."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def command_for(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Returns the command that runs ``run.py`` with ``words``, with the launcher that started this process.

    Args:
        words: the arguments of ``run.py``.
        environ: environment of this process, which shows whether torchrun or Slurm started it. Of torchrun's options
            only the number of processes is known.

    >>> command_for(["--task", "segment", "--resume", "runs/segment/my cars"], {})  # doctest: +ELLIPSIS
    "python ...run.py --task segment --resume 'runs/segment/my cars'"
    >>> command_for(["--task", "sr"], {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2"})  # doctest: +ELLIPSIS
    'torchrun --nproc_per_node 2 ...run.py --task sr'
    """
    launcher = ["python"]
    if "TORCHELASTIC_RUN_ID" in environ:
        launcher = ["torchrun", "--nproc_per_node", environ.get("LOCAL_WORLD_SIZE", "1")]
    elif int(environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environ:
        launcher = ["srun", "python"]
    return shlex.join([*launcher, script_path(), *words])


def current_command(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the command that started this process."""
    return command_for(sys.argv[1:], environ)


def script_path() -> str:
    """Returns the path of ``run.py`` as the user typed it, so that commands work from the working directory."""
    typed = Path(sys.argv[0])
    if typed.name == "run.py":
        return str(typed)
    own, here = Path(__file__).resolve().parents[1] / "run.py", Path.cwd()
    return str(own.relative_to(here) if own.is_relative_to(here) else own)
