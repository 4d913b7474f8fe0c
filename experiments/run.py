"""The entry point: ``python experiments/run.py --task segment`` in a clone, or the console script ``darkroom``."""

import os
import sys
from pathlib import Path


def darkroom() -> int:
    """Runs the command of ``sys.argv`` and returns the exit code; the console script ``darkroom`` calls it."""
    # Importing albumentations checks for a new version: 2 s without a network.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    from callbacks.distributed import rank_exit

    rank_exit.install()
    from experiments.cli.output_streams import tolerate_closed_output
    from experiments.cli.signals import ignore_signals, install_handlers

    install_handlers()
    tolerate_closed_output()
    from experiments.cli.main import main

    try:
        code = main(sys.argv[1:])
        rank_exit.set_exit_code(code)
        return code
    finally:
        ignore_signals()


if __name__ == "__main__":
    # Replaces the folder of this file, whose modules would be importable without their package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    sys.exit(darkroom())
