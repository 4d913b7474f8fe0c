"""Runs one benchmark by its name, or all of them one after the other.

    python -m experiments.benchmarks cache [options of the benchmark]
    python -m experiments.benchmarks all [options of all benchmarks, such as --rounds 21]

``all`` leaves out those that need data or a checkpoint (``predict``, ``label``) or train for minutes (``stages``); each
of its benchmarks is a process of its own.

Exit codes: 0 if the goals are met, 1 if one is missed, 3 if the measurements are spread too widely to tell. ``all``
ends with the largest of them.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module

#: Name of the command, and its module in this package. Imported late: each has peers that others do not need.
BENCHMARKS = {
    "input": "input",
    "cache": "cache",
    "shards": "shards",
    "masks": "masks",
    "stages": "stages",
    "step": "step",
    "loss": "loss",
    "overhead": "overhead",
    "memory": "memory",
    "startup": "startup",
    "predict": "predict",
    "label": "label",
}
NOT_IN_ALL = {"predict", "label", "stages"}


def main(argv: Sequence[str]) -> int:
    """Runs the benchmark that the first argument names with the other arguments."""
    parser = argparse.ArgumentParser(prog="experiments.benchmarks", description=__doc__, add_help=False)
    parser.add_argument("benchmark", choices=[*BENCHMARKS, "all"])
    if not argv or argv[0] in ("-h", "--help"):
        parser.print_help()
        return 0
    name, rest = parser.parse_args(argv[:1]).benchmark, argv[1:]
    if name == "all":
        return run_all(rest)
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the registry, 2 s when offline
    module = import_module(f"experiments.benchmarks.{BENCHMARKS[name]}")
    code: int = module.main(rest)
    return code


def run_all(options: Sequence[str]) -> int:
    """Runs every benchmark in a process of its own, prints a table of the exit codes, and returns the largest."""
    codes = {}
    for name in (name for name in BENCHMARKS if name not in NOT_IN_ALL):
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", "experiments.benchmarks", name, *options]
        codes[name] = subprocess.run(command, check=False).returncode
    words = {0: "goals met", 1: "goal missed", 3: "spread too wide"}
    print("\n".join(f"{name:12}{words.get(code, f'failed with exit code {code}')}" for name, code in codes.items()))
    return max(codes.values())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
