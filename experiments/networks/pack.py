r"""Makes a network with a card from a checkpoint, for ``predict --net NAME`` and ``experiments.load(NAME)``.

python -m experiments.networks.pack runs/sr/mine/checkpoints/best.ckpt --name mine-2x --out NETWORKS \
    --summary "enlarges images 2 times" --data "700 images of my own" --license "all rights are mine" \
    --trained "python experiments/run.py --task sr --data.root IMAGES" --time "2 h on two cores" --benchmark Set5=SET5

Writes the weights as float16 to ``NAME.safetensors`` (the moving average if the run kept one), measures that file with
``test`` on every benchmark, and writes ``NAME.yaml``. Other options are passed on to ``test``.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from callbacks.errors import CheckpointError, ExportError
from callbacks.output_file import output_file
from experiments.cli.main import main as run_program
from experiments.cli.usage import UsageError
from experiments.export.network_file import Source, network_config, network_file
from experiments.networks import FOLDER, list_networks, own_folder
from experiments.runs.checkpoint import load_checkpoint
from experiments.runs.command_line import documented_program
from experiments.runs.folder import relative_to_here
from experiments.runs.trained_module import build_module
from experiments.tasks.table import TASKS

#: Largest size in bytes of a network that ships.
MAX_SIZE = 4_000_000
_RUNS = "runs"


def main(argv: Sequence[str]) -> int:
    """Packs the checkpoint that the command line names.

    Returns:
        Exit code: 0 done, 1 failure, 2 user's mistake.
    """
    options, test_words = make_parser().parse_known_args(argv)
    try:
        return pack(options, test_words)
    except (UsageError, CheckpointError) as error:
        print(f"pack: {error}", file=sys.stderr)
        return 2
    except ExportError as error:
        print(f"pack: {error}", file=sys.stderr)
        return 1


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="experiments.networks.pack",
        description="Make a network with a card from a checkpoint.",
        epilog="All other options are passed on to 'test', which measures the benchmarks.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=Path, help="checkpoint of a run, or a safetensors file of export")
    parser.add_argument("--name", required=True, help="name that --net takes; by habit task and scale, such as sr-2x")
    parser.add_argument("--summary", required=True, help="what the network does, in one line")
    parser.add_argument("--data", required=True, help="what it was trained on")
    parser.add_argument("--license", required=True, help="license of that data")
    parser.add_argument("--trained", required=True, metavar="COMMAND", help="command that trained it")
    parser.add_argument("--time", required=True, help="how long that took, and on what")
    parser.add_argument(
        "--benchmark",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="images to measure it on; may be given more than once",
    )
    parser.add_argument(
        "--styles", type=Path, help="YAML file: a list with name, title, painter, year and license of each style"
    )
    parser.add_argument(
        "--default", action="store_true", help="predict uses it where nothing is trained and nothing is named"
    )
    parser.add_argument(
        "--out", type=Path, default=own_folder(), help="folder to write to (default: DARKROOM_NETWORKS)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a network of this name")
    return parser


def pack(options: argparse.Namespace, test_words: Sequence[str]) -> int:
    """Writes weights and card.

    Args:
        options: of ``make_parser``.
        test_words: further options of ``test``.

    Returns:
        Exit code, that of ``test`` if it failed; nothing is written then.

    Raises:
        UsageError: for a name that is no file name, a missing folder, or a network that exists.
        CheckpointError: if the checkpoint cannot be used.
        ExportError: if the file is too large to ship.
    """
    if Path(options.name).name != options.name or options.name.startswith("."):
        raise UsageError(f"--name {options.name!r}: must be a file name without a suffix")
    if options.out is None:
        raise UsageError("name a folder with --out, or set DARKROOM_NETWORKS to the folder of your own networks")
    weights, card = options.out / f"{options.name}.safetensors", options.out / f"{options.name}.yaml"
    if not options.overwrite and (existing := next((file for file in (weights, card) if file.exists()), None)):
        raise UsageError(
            f"{relative_to_here(existing)} exists: add --overwrite to replace it, or choose another --name"
        )
    styles = read_styles(options.styles) if options.styles else []
    benchmarks = dict(_split_benchmark(word) for word in options.benchmark)
    checkpoint = load_checkpoint(options.checkpoint)
    module, task = build_module(checkpoint), str(checkpoint.record["task"])
    source = Source(module=module, checkpoint=checkpoint, half=True)
    content = network_file(source, network_config(source))
    if options.out.resolve() == FOLDER and len(content) > MAX_SIZE:
        raise ExportError(
            f"{weights.name} has {len(content) / 1e6:.1f} MB, and a network that ships at most {MAX_SIZE / 1e6:.0f}"
        )
    scores: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, weights.name)
        packed.write_bytes(content)
        for benchmark, images in benchmarks.items():
            run = f"{options.name}-{benchmark}"
            if (code := measure(packed, task, images, run, test_words)) != 0:
                return code
            scores |= {f"{benchmark} {name}": value for name, value in read_scores(run, task).items()}
    entries: dict[str, Any] = {
        "task": task,
        "summary": options.summary,
        "scale": int(getattr(module, "scale", 1)),
        "default": options.default,
        "data": options.data,
        "license": options.license,
        "command": options.trained,
        "time": options.time,
        "scores": scores,
        **({"styles": styles} if styles else {}),
    }
    for target, data in ((weights, content), (card, yaml.safe_dump(entries, sort_keys=False, width=120).encode())):
        with output_file(target) as file:
            file.write(data)
    shown = ", ".join(f"{name} {value:g}" for name, value in scores.items()) or "not measured"
    print(f"{relative_to_here(weights)}  {len(content) / 1e6:.1f} MB, {shown}; its card is {card.name}")
    found = any(network.path.resolve() == weights.resolve() for network in list_networks())
    use = ["--net", options.name] if found else ["--ckpt_path", str(relative_to_here(weights))]
    use += ["--style", str(styles[0]["name"])] if styles else []
    print(f"use it: {documented_program()} --task {task} predict {shlex.join(use)} IMAGES")
    return 0


def read_styles(path: Path) -> list[dict[str, str | int]]:
    """Reads the descriptions of the styles of a network.

    Raises:
        UsageError: if the file cannot be read, or is no list of mappings with ``name``.
    """
    try:
        styles = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"--styles {path}: {' '.join(str(error).split())}") from error
    if not isinstance(styles, list) or not all(isinstance(style, dict) and "name" in style for style in styles):
        raise UsageError(f"--styles {path}: must be a list like [{{name: wave, title: The Great Wave, year: 1831}}]")
    return styles


def measure(packed: Path, task: str, images: Path, run: str, test_words: Sequence[str]) -> int:
    """Runs ``test`` in float32 on the images of a folder; the scores of each image go to ``runs/TASK/RUN``.

    Returns:
        The exit code.
    """
    data = ["--data.root", str(images), "--data.val_share=1.0"]
    if task == "sr":
        data = ["--data.benchmark", str(images), "--model.lpips=none"]  # would be downloaded, and is not in the card
    words = ["--task", task, "--name", run, "--runs", _RUNS, "test", "--ckpt_path", str(packed), *data]
    return run_program([*words, "--trainer.precision=32-true", *test_words])


def read_scores(run: str, task: str) -> dict[str, float]:
    """Returns the task's first score, to four digits, from the file that ``test`` wrote."""
    name = TASKS[task].load().scores[0].removeprefix("val/")
    written = json.loads(Path(_RUNS, task, run, "test.json").read_text(encoding="utf-8"))
    return {name: float(f"{written['scores'][f'test/{name}']:.4g}")}


def _split_benchmark(word: str) -> tuple[str, Path]:
    name, _, folder = word.partition("=")
    if not name or not folder:
        raise UsageError(f"--benchmark {word}: write NAME=FOLDER, for example Set5=images/set5")
    return name, Path(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
