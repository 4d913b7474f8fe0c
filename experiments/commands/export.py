"""``export``: writes a trained network for use without Darkroom."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from callbacks.output_file import output_file
from experiments.cli.usage import UsageError, unknown
from experiments.export.formats import CONFIG, SUFFIXES, WRITERS, require_packages
from experiments.export.html_page import export_html
from experiments.export.network_file import Source
from experiments.export.ort_web import PACKAGE, VERSION, load_ort_web
from experiments.inference.styles import choose_style
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from lightning_modules.base import ImageTask
from lightning_modules.style import StyleModule

#: Runs ONNX exports without Darkroom.
SCRIPT = Path(__file__).parents[1] / "onnx_predict.py"


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the formats and where to write."""
    parser.add_argument(
        "--format", type=str, default="onnx", help=f"formats, separated by commas: {', '.join(SUFFIXES)}"
    )
    parser.add_argument(
        "--out",
        type=Path | None,
        default=None,
        help="file to write; each format adds its own suffix (default: export/ of the run)",
    )
    parser.add_argument(
        "--style", type=str | None, default=None, help="networks of many styles: the style, or blend, that is exported"
    )
    parser.add_argument(
        "--input",
        type=Literal["float", "uint8"],
        default="float",
        help="input of onnx and torch: (N, 3, H, W) float in [0, 1], or (N, H, W, 3) uint8 as decoders give it",
    )
    parser.add_argument("--half", action="store_true", help="store weights as float16: half the size")
    parser.add_argument(
        "--script", action="store_true", help=f"also copy {SCRIPT.name}, which runs ONNX files, beside it"
    )
    parser.add_argument(
        "--ort_web",
        type=Path | None,
        default=None,
        help=f"html: npm tarball or folder of {PACKAGE} {VERSION} (default: npm fetches it)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")


def run(context: RunContext) -> int:
    """Writes one file per format, each checked against the network.

    Returns:
        0.

    Raises:
        UsageError: for an unknown format, a missing package, or a file that exists.
        ExportError: if the network cannot be exported, or an exported file gives other results.
    """
    if context.checkpoint is None:
        raise UsageError("export needs a trained network: name one with --ckpt_path FILE")
    if (channels := getattr(getattr(context.model.net, "encoder", None), "in_channels", 3)) != 3:
        raise UsageError(f"export is for networks of RGB images; this one takes {channels} channels")
    formats = parse_formats(context.config.format)
    if context.config.script and "onnx" not in formats:
        raise UsageError(f"--script copies {SCRIPT.name}, which runs ONNX files: add onnx to --format")
    uint8 = context.config.input == "uint8"
    if uint8 and (others := [kind for kind in formats if kind not in ("onnx", "torch")]):
        raise UsageError(f"--input uint8 is for onnx and torch: export {' and '.join(others)} without it")
    if context.config.ort_web is not None and "html" not in formats:
        raise UsageError("--ort_web is what a page runs the network with: add html to --format")
    out: Path = context.config.out or context.folder.path / "export" / context.task_name
    targets = {kind: target_of(out, kind, alone=len(formats) == 1) for kind in formats}
    for kind, target in targets.items():
        require_packages(kind)
        written = [target, *([target.with_name(CONFIG)] if kind == "safetensors" else [])]
        written += [target.with_name(SCRIPT.name)] if context.config.script else []
        if (existing := next((file for file in written if file.exists()), None)) and not context.config.overwrite:
            raise UsageError(
                f"{relative_to_here(existing)} exists: add --overwrite to replace it, or name another --out"
            )
    fix_exported_style(context.model, context.config.style, formats)
    source = Source(module=context.model.eval(), checkpoint=context.checkpoint, half=context.config.half, uint8=uint8)
    writers = dict(WRITERS)
    if "html" in formats:
        writers["html"] = partial(export_html, ort_web=load_ort_web(context.config.ort_web))
    for kind, target in targets.items():
        checked = writers[kind](source, target)
        print(f"{relative_to_here(target)}  {target.stat().st_size / 1e6:.1f} MB, {checked}")
    if context.config.script:
        with output_file(out.parent / SCRIPT.name) as file:
            file.write(SCRIPT.read_bytes())
        print(f"{relative_to_here(out.parent / SCRIPT.name)}  applies ONNX files with numpy, pillow and onnxruntime")
    return 0


def fix_exported_style(model: ImageTask, style: str | None, formats: Sequence[str]) -> None:
    """Fixes the style of a network of many styles; without a style, safetensors alone keep all of them.

    Raises:
        UsageError: for a style that the network does not have, or if a format needs one.
    """
    if not isinstance(model, StyleModule):
        if style is not None:
            raise UsageError("--style is an option of networks of style transfer")
    elif style is not None or list(formats) != ["safetensors"]:
        choose_style(model, style)


def parse_formats(text: str) -> list[str]:
    """Splits a list of formats.

    >>> parse_formats("onnx, torch,onnx")
    ['onnx', 'torch']

    Raises:
        UsageError: if it is empty or a format is unknown.
    """
    formats = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not formats:
        raise UsageError(f"--format is empty: choose from {', '.join(SUFFIXES)}")
    for kind in formats:
        if kind not in SUFFIXES:
            raise unknown("format", kind, SUFFIXES)
    return formats


def target_of(out: Path, kind: str, *, alone: bool) -> Path:
    """Returns the file of a format.

    >>> str(target_of(Path("net.onnx"), "torch", alone=False)), str(target_of(Path("my.net"), "onnx", alone=True))
    ('net.pt2', 'my.net.onnx')

    Raises:
        UsageError: if ``out`` is a folder or has the suffix of another format.
    """
    suffix = SUFFIXES[kind]
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file in it, for example {out / 'network'}{suffix}")
    if out.suffix in SUFFIXES.values():
        if alone and out.suffix != suffix:
            raise UsageError(f"--out {out}: --format {kind} writes {suffix}; leave the suffix out")
        out = out.with_suffix("")
    return out.with_name(out.name + suffix)
