"""The entry point: ``python experiments/run.py --task segment``, from a clone and from any working directory."""

import os
import sys
from pathlib import Path

# In place of this file's own folder, whose modules would otherwise be importable without their package.
sys.path[0] = str(Path(__file__).resolve().parents[1])
# Importing albumentations asks the package registry for news: 2 s without a network.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from experiments.cli.signals import take_signals  # noqa: E402 (the path has to come first)

if __name__ == "__main__":
    take_signals()
    from experiments.cli.main import main

    sys.exit(main(sys.argv[1:]))
