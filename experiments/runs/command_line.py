"""Commands that start or resume a run, as the user would type them."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from callbacks.distributed.error_files import CONSOLE_SCRIPT, program_name


def command_for(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Returns the command that runs Darkroom with ``words``, with the launcher that started this process.

    Args:
        words: the arguments of the program.
        environ: environment of this process, which shows whether torchrun or Slurm started it. Of torchrun's options
            only the number of processes is known.

    >>> command_for(["--task", "segment", "--resume", "runs/segment/my cars"], {})  # doctest: +ELLIPSIS
    "python ...run.py --task segment --resume 'runs/segment/my cars'"
    >>> command_for(["--task", "sr"], {"TORCHELASTIC_RUN_ID": "1", "LOCAL_WORLD_SIZE": "2"})  # doctest: +ELLIPSIS
    'torchrun --nproc_per_node 2 ...run.py --task sr'
    """
    if "TORCHELASTIC_RUN_ID" in environ:
        launcher = ["torchrun", "--nproc_per_node", environ.get("LOCAL_WORLD_SIZE", "1"), script_path()]
    elif int(environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in environ:
        launcher = ["srun", *program()]
    else:
        launcher = program()
    return shlex.join([*launcher, *words])


def current_command(environ: Mapping[str, str] = os.environ) -> str:
    """Returns the command that started this process."""
    return command_for(sys.argv[1:], environ)


def is_console_script() -> bool:
    """Whether this process was started by the console script ``darkroom`` of an installed package."""
    return program_name() == CONSOLE_SCRIPT


def program() -> list[str]:
    """Returns the words that start Darkroom: the console script if it was used, else Python with ``run.py``."""
    if not is_console_script():
        return ["python", script_path()]
    on_path = shutil.which(CONSOLE_SCRIPT)
    return [CONSOLE_SCRIPT if on_path and Path(on_path).samefile(sys.argv[0]) else sys.argv[0]]


def documented_program() -> str:
    """Returns the start of a command line in the help: ``darkroom``, or ``run.py`` as seen from the clone."""
    return CONSOLE_SCRIPT if is_console_script() else "python experiments/run.py"


def script_path() -> str:
    """Returns the path of ``run.py`` or of the console script, as the user typed it or relative to the folder."""
    typed = Path(sys.argv[0])
    if typed.name == "run.py" or is_console_script():
        return str(typed)
    own, here = Path(__file__).resolve().parents[1] / "run.py", Path.cwd()
    return str(own.relative_to(here) if own.is_relative_to(here) else own)
