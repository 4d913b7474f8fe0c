"""The wheel has everything: recipes, launch scripts and a console script that works outside the clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from experiments.tasks.table import TASKS

ROOT = Path(__file__).parents[1]
PRINT_CONFIGURATIONS = """
import sys
from experiments.cli.main import main
for task, recipe in (name.split("/") for name in sys.argv[1:]):
    assert main(["--task", task, "--recipe", recipe, "--print_config"]) == 0, f"{task} {recipe}"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which takes all other packages from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*build, str(folder / "source")], check=True)
    shutil.rmtree(folder / "source")
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    packages = run(folder, str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    Path(packages, "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = [*pip, "--python", str(python), "install", "--quiet", "--no-deps", "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def darkroom(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run(folder, str(folder / "venv" / "bin" / "darkroom"), *options)


def test_wheel_holds_all_files_of_the_packages(installed: Path) -> None:
    code = "import experiments, models, callbacks, datamodules; print(experiments.__file__)"
    done = run(installed, str(installed / "venv/bin/python"), "-c", code)
    package = Path(done.stdout.strip()).parent
    assert package.is_relative_to(installed), done.stderr
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in tracked.splitlines() if "/" in name and not name.startswith((".", "tests/"))]
    needed = [name for name in names if Path(name).suffix not in (".md", ".ipynb")]
    needed = [name for name in needed if not name.startswith("experiments/pictures/")]  # of the README
    assert any(name.endswith("slurm.sbatch") for name in needed)
    assert [name for name in needed if not (package.parent / name).is_file()] == []


def test_help_names_the_console_script(installed: Path) -> None:
    done = darkroom(installed, "--task", "segment", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: darkroom --task TASK")
    for recipe in TASKS["segment"].recipe_names():
        assert f"  {recipe}" in done.stdout


def test_every_recipe_prints_its_configuration(installed: Path) -> None:
    recipes = [f"{name}/{recipe}" for name, task in TASKS.items() for recipe in task.recipe_names()]
    python = str(installed / "venv" / "bin" / "python")
    done = run(installed, python, "-c", PRINT_CONFIGURATIONS, *recipes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nstages:") == len(recipes)


def test_recipe_trains_outside_the_clone(installed: Path) -> None:
    """One batch of the sample, on images that the package draws or holds itself."""
    options = ("--trainer.fast_dev_run", "1", "--data.num_workers", "0", "--data.cache_dir", "cache")
    done = darkroom(installed, "--task", "sr", "--stages.0.batch_size", "2", "--trainer.accelerator", "cpu", *options)
    assert done.returncode == 0, done.stderr
    assert "fast_dev_run" in done.stdout


def test_launch_scripts_find_the_installed_program(installed: Path) -> None:
    python = str(installed / "venv" / "bin" / "python")
    folder = run(installed, python, "-c", "import experiments; print(experiments.__path__[0])").stdout.strip()
    assert {file.name for file in Path(folder, "cluster").iterdir()} >= {"slurm.sbatch", "torchrun.sh", "README.md"}
    done = run(installed, "env", f"PYTHON={python}", "DEVICES=1", "bash", f"{folder}/cluster/torchrun.sh", "--help")
    assert "usage: python experiments/run.py" in done.stdout, done.stderr
