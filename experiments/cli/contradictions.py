"""Options of the command line that exclude each other. Imports no torch."""

from argparse import Namespace

from experiments.cli.usage import UsageError
from experiments.commands.table import COMMANDS, Needs


def refuse_contradictions(options: Namespace, command: str, *, newest: str) -> None:
    """Refuses options that exclude each other, or do not go with the command.

    Args:
        options: the options that select task, command and run.
        command: the command.
        newest: value of ``--resume`` without a run.

    Raises:
        UsageError: naming both options and the way out.
    """
    if options.net and options.ckpt_path:
        raise UsageError("--net and --ckpt_path name two networks: use one of them")
    if options.onnx and (options.net or options.ckpt_path):
        raise UsageError("--onnx names the network: leave --net and --ckpt_path out")
    if options.onnx and command != "predict":
        raise UsageError(f"--onnx is an option of predict; {command} takes --ckpt_path best, last or FILE")
    if options.onnx and not options.onnx.endswith(".onnx"):
        raise UsageError(
            f"--onnx {options.onnx}: must be a file that export --format onnx wrote, with the suffix .onnx"
        )
    if options.net and COMMANDS[command].needs is Needs.NOTHING:
        way = f": to start from its weights add --init_from {options.net}" if command in ("fit", "lr-find") else ""
        raise UsageError(f"{command} takes no --net{way}")
    if options.resume and options.init_from:
        raise UsageError(
            "--resume and --init_from exclude each other: --resume continues a run, --init_from starts a new run from "
            "the weights of a checkpoint"
        )
    if options.resume and command != "fit":
        raise UsageError(f"--resume is an option of fit; {command} takes --ckpt_path best, last or FILE")
    if options.resume and options.recipe:
        raise UsageError("--resume uses the configuration of the run: leave --recipe out")
    if options.resume not in (None, newest) and options.name:
        raise UsageError("--resume FOLDER and --name select two runs: use one of them")
    if options.init_from and command not in ("fit", "lr-find"):
        raise UsageError(f"--init_from is an option of fit and lr-find; {command} takes --ckpt_path FILE")
    if options.ckpt_path and command in ("fit", "lr-find"):
        raise UsageError(
            f"{command} takes no --ckpt_path: --init_from FILE starts from the weights of a checkpoint, --resume "
            "continues a run"
        )
    if options.ckpt_path and command == "prepare":
        raise UsageError("prepare uses the data only and takes no --ckpt_path")
