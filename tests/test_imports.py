"""Who may import whom, read from the source with ``ast``."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lightning_modules", "datamodules", "models", "callbacks", "experiments")
# What every package may import: the data types, and one way to write a file.
SHARED = {"datamodules.batches", "datamodules.stage", "datamodules.io.atomic_file"}
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
def test_arrows_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imported_modules(path)
        if name.split(".")[0] in (*PACKAGES, "tests")
        and name.split(".")[0] not in ALLOWED[package]
        and not (name in SHARED and package in ("lightning_modules", "callbacks"))
    ]
    assert not wrong, "\n".join(wrong)


def test_models_need_nothing_but_torch_and_torchvision() -> None:
    outside = {"lightning", "albumentations", "cv2", "PIL", "numpy", "matplotlib", "torchmetrics"}
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / "models").rglob("*.py"))
        for name in imported_modules(path)
        if name.split(".")[0] in outside
    ]
    assert not wrong, "\n".join(wrong)
