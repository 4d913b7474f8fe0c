"""No training or validation step waits for the GPU: no tensor is read by Python in it.

Checked in the source, so that it also holds where no GPU is. Starting from the methods of a step, calls are followed by
name through ``lightning_modules`` and ``models``.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("lightning_modules", "models")
#: Methods that run in every step.
STARTS = ("training_step", "validation_step", "losses", "forward")
#: Methods of a tensor that copy it to the CPU.
COPIES = {"item", "cpu", "tolist", "numpy", "nonzero", "is_nonzero"}
#: Functions that turn a tensor into a Python number.
NUMBERS = {"float", "bool", "int"}
#: Methods of a tensor whose result in an ``if`` or ``while`` is a tensor.
TESTS = {"any", "all", "isfinite", "isnan", "equal", "allclose"}
#: Functions that a step calls once in a run, or that no training step calls, with the reason.
LEFT_OUT = {
    "_check": "StyleLoss checks its state once",
    "load": "loads weights, once",
    "_load_vgg": "loads weights, once",
    "in_precision": "converts weights, once",
    "OnnxNet": "runs on the CPU",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> dict[str, list[tuple[str, Function]]]:
    """All functions by their name, with the place of their definition."""
    found: dict[str, list[tuple[str, Function]]] = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            left_out = {
                node
                for name in ast.walk(tree)
                if isinstance(name, ast.ClassDef) and name.name in LEFT_OUT
                for node in ast.walk(name)
            }
            for node in ast.walk(tree):
                if isinstance(node, Function) and node not in left_out:
                    found.setdefault(node.name, []).append((file.relative_to(ROOT).as_posix(), node))
    return found


def called(function: Function) -> Iterator[tuple[ast.Call, str, bool]]:
    """The calls inside a function: the node, the name of what is called, and whether it is a method."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node, node.func.id, False
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, node.func.attr, True


def in_a_step(known: dict[str, list[tuple[str, Function]]]) -> list[tuple[str, Function]]:
    """The functions that a step may call."""
    reached: dict[str, list[tuple[str, Function]]] = {}
    waiting = [name for name in STARTS if name in known]
    while waiting:
        name = waiting.pop()
        if name in reached or name in LEFT_OUT:
            continue
        reached[name] = known[name]
        waiting += [inner for _, function in known[name] for _, inner, _ in called(function) if inner in known]
    return [place for places in reached.values() for place in places]


def waits(function: Function) -> list[str]:
    """What in a function waits for the GPU."""
    found = []
    for node, name, is_method in called(function):
        if is_method and name in COPIES:
            found.append(f"line {node.lineno}: .{name}()")
        if not is_method and name in NUMBERS and not _is_plain(node.args):
            found.append(f"line {node.lineno}: {name}(...)")
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            found += [
                f"line {node.lineno}: a test of .{part.func.attr}()"
                for part in ast.walk(node.test)
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in TESTS
            ]
    return found


def _is_plain(arguments: list[ast.expr]) -> bool:
    """Whether the argument is no tensor: text cut from a name, or weights and options of Python."""
    text = " ".join(ast.unparse(argument) for argument in arguments)
    return any(word in text for word in ("removeprefix", "part_weights", "active_scale", "_doublings", "border"))


def test_no_function_of_a_step_reads_a_tensor() -> None:
    reached = in_a_step(functions())
    assert {"losses", "gram_matrix", "l1", "instance_norm", "enlarge"} <= {function.name for _, function in reached}
    found = [f"{file}, {function.name}, {what}" for file, function in reached for what in waits(function)]
    assert found == []


def test_each_way_of_reading_a_tensor_is_found() -> None:
    source = "def f(x):\n    x.item()\n    float(x)\n    x.cpu()\n    if x.isfinite().all():\n        pass\n"
    (function,) = ast.parse(source).body
    assert isinstance(function, Function)
    assert [text.partition(": ")[2] for text in waits(function)] == [
        ".item()",
        "float(...)",
        ".cpu()",
        "a test of .all()",
        "a test of .isfinite()",
    ]
