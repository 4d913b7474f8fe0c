"""Problems of a data set, collected first and then reported together."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.errors import DataError

MAX_NAMED = 20  # problems that a message names; the others are counted
#: What to do about the problems of a shard.
SHARD_ADVICE = "Correct or remove these files, then run this shard again; its other files are checked and cached."
MAX_SKIPPED = 0.01  # fraction of all images; more would silently change the data set

#: Whether files that cannot be used stop the run, or are left out, counted and listed.
OnBad = Literal["error", "skip"]


class Problem(NamedTuple):
    """One problem of one file."""

    kind: str  # such as "image without a mask"; the heading counts problems by kind
    name: str  # the file, relative to the data's root
    detail: str = ""  # the value found and the value expected
    skippable: bool = False  # whether leaving out the file solves it

    def __str__(self) -> str:
        """One line that starts with the file."""
        return f"{self.name}: {self.kind}" + (f" ({self.detail})" if self.detail else "")


def raise_problems(root: Path, problems: Sequence[Problem], advice: str) -> None:
    """Raises one error for all problems, if there are any.

    Raises:
        DataError: counts the problems by kind and names the first files.
    """
    if not problems:
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(Counter(p.kind for p in problems).items()))
    lines = [f"the data in {root} cannot be used, {len(problems)} problem(s): {kinds}"]
    lines += [f"  {problem}" for problem in problems[:MAX_NAMED]]
    if len(problems) > MAX_NAMED:
        lines.append(f"  ... and {len(problems) - MAX_NAMED} more")
    raise DataError("\n".join([*lines, advice]))


def raise_or_skip(root: Path, problems: Sequence[Problem], advice: str, *, on_bad: OnBad, total: int) -> None:
    """Raises one error for all problems, unless they are few and ``on_bad`` is ``"skip"``.

    Args:
        root: the data's root.
        problems: all problems found.
        advice: how to solve them.
        on_bad: whether files may be left out.
        total: number of images in the data set, including those with problems.

    Raises:
        DataError: as ``raise_problems``.
    """
    if on_bad == "error":
        few = 0 < len(problems) <= MAX_SKIPPED * total and all(problem.skippable for problem in problems)
        raise_problems(root, problems, f"{advice} (--data.on_bad skip goes on without them.)" if few else advice)
        return
    raise_problems(root, [problem for problem in problems if not problem.skippable], advice)
    if len(problems) > MAX_SKIPPED * total:
        share = f"{len(problems) / total:.1%}" if total else "all"
        advice = f"on_bad skip leaves out {MAX_SKIPPED:.0%} at most, and this is {share}. {advice}"
        raise_problems(root, problems, advice)


def report_shard(root: Path, problems: Sequence[Problem], advice: str, *, on_bad: OnBad) -> None:
    """As ``raise_or_skip`` for a part of the images, where the fraction with problems is not known.

    Raises:
        DataError: as ``raise_problems``.
    """
    hard = [problem for problem in problems if on_bad == "error" or not problem.skippable]
    raise_problems(root, hard, advice)
    for problem in problems[:MAX_NAMED]:
        print(f"  cannot be used (on_bad: skip): {problem}")
    if len(problems) > MAX_NAMED:
        print(f"  ... and {len(problems) - MAX_NAMED} more")


def skipped_lines(skipped: Sequence[str]) -> list[str]:
    """One line for the summary if files were left out, else none."""
    if not skipped:
        return []
    return [f"  LEFT OUT, since they cannot be used: {len(skipped)} (on_bad: skip), such as {skipped[0]}"]
