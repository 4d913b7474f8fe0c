"""``fit --folds N``: trains one network for each fold of the groups, and reports the mean and spread of the scores."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from callbacks.distributed.exit_codes import DONE
from callbacks.output_file import output_file
from experiments.cli.arguments import Arguments
from experiments.cli.runner import run_command
from experiments.cli.usage import UsageError
from experiments.runs.command_line import command_for
from experiments.runs.folder import RunFolder, relative_to_here

SUMMARY = "folds.json"


def run_folds(arguments: Arguments, count: int) -> int:
    """Trains the folds one after the other in ``<runs>/<task>/<name>/fold-1`` and so on, then validates each.

    A fold that is complete is not trained again, and one that was interrupted is resumed: the same command continues.

    Args:
        arguments: the command line of ``fit``.
        count: number of folds.

    Returns:
        The exit code of the first command that does not end with 0.

    Raises:
        UsageError: if the options do not go together, or the folder holds another run.
    """
    _check(arguments, count)
    name = arguments.name or f"{arguments.recipe_name}-{count}-folds"
    folder = arguments.runs / arguments.task_name / name
    _begin(folder, count)
    for number in range(1, count + 1):
        print(f"fold {number} of {count}")
        fold = RunFolder(folder / f"fold-{number}")
        # With several devices, the ranks that Lightning starts would run the loop over the folds on their own.
        flags = ("--trainer.devices=1", *arguments.flags, f"--data.folds={count}", f"--data.fold={number}")
        own = replace(arguments, name=f"{name}/fold-{number}", flags=flags)
        if fold.checkpoint_files:
            own = replace(own, name=None, resume=str(fold.path), recipe=None)
        if (code := run_command(own)) != DONE:
            if code != 2:
                print(f"the folds are not complete; the same command continues with fold {number} (--name {name})")
            return code
    scores: list[dict[str, float]] = []
    for number in range(1, count + 1):
        best = folder / f"fold-{number}" / "checkpoints" / "best.ckpt"
        validate = replace(arguments, command="validate", ckpt_path=str(best), name=None, recipe=None, init_from=None)
        # All settings come from the run of the fold.
        if (code := run_command(replace(validate, flags=("--trainer.devices=1",), configs=()))) != DONE:
            return code
        content = json.loads((folder / f"fold-{number}" / "validate.json").read_text(encoding="utf-8"))
        scores.append(content["scores"])
    spread = summarize_scores(scores)
    _write(folder, {"folds": count, "scores": scores, "summary": spread})
    print("\n".join(spread_lines(spread, count)))
    print(f"all scores: {relative_to_here(folder / SUMMARY)}")
    checkpoints = [
        str(relative_to_here(folder / f"fold-{number}" / "checkpoints" / "best.ckpt")) for number in range(1, count + 1)
    ]
    print("predict with the mean of all folds:")
    print(f"  {command_for(['--task', arguments.task_name, 'predict', '--ckpt_path', *checkpoints])} YOUR_IMAGES")
    return DONE


def summarize_scores(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (of the sample) of every score that all folds have.

    >>> summarize_scores([{"val/dice": 0.25}, {"val/dice": 0.75}, {"val/dice": 0.5, "val/iou": 0.5}])
    {'val/dice': {'mean': 0.5, 'std': 0.25, 'min': 0.25, 'max': 0.75}}
    """
    shared = [key for key in scores[0] if all(key in one for one in scores)]
    summary = {}
    for key in shared:
        values = [one[key] for one in scores]
        summary[key] = {
            "mean": statistics.fmean(values),
            "std": statistics.stdev(values),
            "min": min(values),
            "max": max(values),
        }
    return summary


def spread_lines(summary: Mapping[str, Mapping[str, float]], count: int) -> list[str]:
    """The summary as lines of text."""
    width = max(map(len, summary), default=0)
    lines = [f"scores of {count} folds, each on the groups that it was not trained on:"]
    for key, one in summary.items():
        lines.append(
            f"  {key:{width}}  {one['mean']:.4f} +- {one['std']:.4f}  (from {one['min']:.4f} to {one['max']:.4f})"
        )
    return lines


def _check(arguments: Arguments, count: int) -> None:
    if arguments.command != "fit":
        raise UsageError(f"--folds is an option of fit, not of {arguments.command}")
    if arguments.task_name != "segment":
        raise UsageError(f"--folds is for --task segment, whose images are in groups, not for {arguments.task_name}")
    if count < 2:
        raise UsageError(f"--folds {count}: cross-validation needs at least 2 folds")
    if arguments.resume:
        raise UsageError("--folds takes no --resume: the same command continues with the fold that is not complete")
    if any(flag.split("=")[0] == "--trainer.devices" for flag in arguments.flags):
        raise UsageError(
            "--folds trains on one device; on several, train one fold at a time with --data.folds and --data.fold"
        )
    if any(flag.split("=")[0] in ("--data.fold", "--data.folds") for flag in arguments.flags):
        raise UsageError("--folds sets --data.folds and --data.fold: leave these out")


def _begin(folder: Path, count: int) -> None:
    """Checks what is in the folder of the run, and notes the number of folds."""
    if RunFolder(folder).checkpoint_files:
        raise UsageError(f"{relative_to_here(folder)} holds a run without folds: choose another --name")
    if not (folder / SUMMARY).is_file():
        _write(folder, {"folds": count})
        return
    known = json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("folds")
    if known != count:
        raise UsageError(f"{relative_to_here(folder)} holds a run of {known} folds, not {count}: choose another --name")
    print(f"continuing {relative_to_here(folder)}", file=sys.stdout)


def _write(folder: Path, content: object) -> None:
    with output_file(folder / SUMMARY) as file:
        file.write(json.dumps(content, indent=1).encode())
