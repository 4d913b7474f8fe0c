"""The entry point: ``python experiments/run.py --task segment``, from a clone and from any working directory."""

import os
import sys
from pathlib import Path

# Replaces the folder of this file, whose modules would be importable without their package.
sys.path[0] = str(Path(__file__).resolve().parents[1])
# Importing albumentations checks for a new version: 2 s without a network.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from experiments.cli.signals import install_handlers  # noqa: E402 (after the path is set)

if __name__ == "__main__":
    install_handlers()
    from experiments.cli.main import main

    sys.exit(main(sys.argv[1:]))
