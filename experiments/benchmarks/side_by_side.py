"""Runs the forms that a benchmark compares at the same time, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_side_by_side(module: str, argv: Sequence[str], forms: Sequence[str]) -> dict[str, Any] | None:
    """Runs ``python -m MODULE ARGV --only FORM --out FILE`` for all forms, and reads the JSON that they write.

    Args:
        module: the benchmark.
        argv: its command line.
        forms: names of the forms.

    Returns:
        What each form wrote; ``None`` if one failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        outs = {form: Path(folder) / f"{form}.json" for form in forms}
        command = [sys.executable, "-m", module, *argv]
        runs = [subprocess.Popen([*command, "--only", form, "--out", str(out)]) for form, out in outs.items()]
        codes = [run.wait() for run in runs]
        if any(codes):
            return None
        return {form: json.loads(out.read_text(encoding="utf-8")) for form, out in outs.items()}
