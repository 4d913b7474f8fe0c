"""Which package may import which, read from the source with ``ast``."""

import ast
import configparser
import re
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lightning_modules", "datamodules", "models", "callbacks", "experiments")
# What every package may import: the data types, the error for data that cannot be used, and one way to write a file.
SHARED = {"datamodules.batches", "datamodules.stage", "datamodules.errors", "datamodules.io.atomic_file"}
ALLOWED = {
    "models": {"models"},
    "datamodules": {"datamodules"},
    "lightning_modules": {"lightning_modules", "models"},
    "callbacks": {"callbacks", "lightning_modules", "models"},
    "experiments": set(PACKAGES),
}


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imported_modules(path)
        if name.split(".")[0] in (*PACKAGES, "tests")
        and name.split(".")[0] not in ALLOWED[package]
        and not (name in SHARED and package in ("lightning_modules", "callbacks"))
    ]
    assert not wrong, "\n".join(wrong)


def test_models_import_torch_and_torchvision_only() -> None:
    outside = {"lightning", "albumentations", "cv2", "PIL", "numpy", "matplotlib", "torchmetrics"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "models").rglob("*.py"))
        for name in imported_modules(path)
        if name.split(".")[0] in outside
    ]
    assert not wrong, "\n".join(wrong)


def required_distributions() -> set[str]:
    """What `pip install -e '.[dev]'` brings: normalized names."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"] + config["options.extras_require"]["dev"]
    names = (re.match(r"[\w.-]+", line.strip()) for line in lines.splitlines())
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name}


def test_imports_outside_functions_are_required() -> None:
    """pytest imports every module for its doctests, also where no further extra is installed."""
    required, installed = required_distributions(), packages_distributions()
    wrong = []
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif isinstance(statement, ast.ImportFrom):
                names = [statement.module or ""]
            else:
                continue
            for root in {name.split(".")[0] for name in names} - sys.stdlib_module_names - set(PACKAGES) - {"tests"}:
                distributions = {re.sub(r"[-_.]+", "-", name).lower() for name in installed.get(root, [])}
                if not distributions & required:
                    wrong.append(
                        f"{path.relative_to(ROOT)} imports {root}, which neither Darkroom nor its dev extra needs"
                    )
    assert not wrong, "\n".join(wrong)


def modules() -> dict[str, Path]:
    """All modules of the packages by their dotted name."""
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports_of(name: str, known: dict[str, Path], *, inside_functions: bool) -> set[str]:
    """The modules that one imports, under TYPE_CHECKING too; ``from package import module`` counts as the module."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(known[name].read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & known.keys()) or {node.module or ""}
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found & known.keys() - {name}


@pytest.mark.parametrize("inside_functions", [False, True])
def test_no_import_cycle(inside_functions: bool) -> None:
    known = modules()
    graph = {name: imports_of(name, known, inside_functions=inside_functions) for name in known}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_cycle_is_found(tmp_path: Path) -> None:
    a, b = tmp_path / "a.py", tmp_path / "b.py"
    a.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import X\n")
    b.write_text("def late():\n    import a\n")
    known = {"a": a, "b": b}
    assert imports_of("a", known, inside_functions=False) == {"b"}
    assert imports_of("b", known, inside_functions=False) == set()
    assert imports_of("b", known, inside_functions=True) == {"a"}
