"""The notebook runs from its first cell to its last, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "experiments/notebooks/quickstart.ipynb"
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
print([output for cell in notebook.cells for output in cell.get("outputs", ())])
"""


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "image/png" in done.stdout
    assert "Predictor(sr, 2x" in done.stdout
    assert (tmp_path / "runs/sr/quickstart/checkpoints/best.ckpt").is_file()


def test_the_notebook_is_saved_without_results() -> None:
    assert '"outputs": [],' in NOTEBOOK.read_text(encoding="utf-8")
    assert '"image/png"' not in NOTEBOOK.read_text(encoding="utf-8")
