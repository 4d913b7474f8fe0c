"""What is wrong with a data set: collected first, then told all at once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.errors import DataError

NAMED = 20  # how many problems a message names; the others are counted
SKIPPED_AT_MOST = 0.01  # of all images: more is no accident, and the run would be another one than was asked for

#: What becomes of files that cannot be used: they stop the run, or are left out, counted and listed.
OnBad = Literal["error", "skip"]


class Problem(NamedTuple):
    """One thing wrong with one file."""

    kind: str  # what the heading counts, such as "image without a mask"
    name: str  # the file, relative to the data's root
    detail: str = ""  # what was found, and what was expected
    skippable: bool = False  # whether leaving the file out is all it takes

    def __str__(self) -> str:
        """One line, the file first."""
        return f"{self.name}: {self.kind}" + (f" ({self.detail})" if self.detail else "")


def refuse(root: Path, problems: Sequence[Problem], way_out: str) -> None:
    """Raises one error for all problems; does nothing when there are none.

    Raises:
        DataError: counts every kind of problem and names the first files.
    """
    if not problems:
        return
    kinds = ", ".join(f"{count} x {kind}" for kind, count in sorted(Counter(p.kind for p in problems).items()))
    lines = [f"the data in {root} cannot be used, {len(problems)} problem(s): {kinds}"]
    lines += [f"  {problem}" for problem in problems[:NAMED]]
    if len(problems) > NAMED:
        lines.append(f"  ... and {len(problems) - NAMED} more")
    raise DataError("\n".join([*lines, way_out]))


def refuse_or_skip(root: Path, problems: Sequence[Problem], way_out: str, *, on_bad: OnBad, total: int) -> None:
    """Raises one error for all problems, unless they are few, may be skipped, and shall be.

    Args:
        root: the data's root.
        problems: all that were found.
        way_out: what a person can do.
        on_bad: whether files may be left out.
        total: images in the data set, those with problems counted too.

    Raises:
        DataError: as ``refuse``.
    """
    if on_bad == "error":
        few = 0 < len(problems) <= SKIPPED_AT_MOST * total and all(problem.skippable for problem in problems)
        refuse(root, problems, f"{way_out} (--data.on_bad skip goes on without them.)" if few else way_out)
        return
    refuse(root, [problem for problem in problems if not problem.skippable], way_out)
    if len(problems) > SKIPPED_AT_MOST * total:
        share = f"{len(problems) / total:.1%}" if total else "all"
        refuse(root, problems, f"on_bad skip leaves out {SKIPPED_AT_MOST:.0%} at most, and this is {share}. {way_out}")


def skipped_lines(skipped: Sequence[str]) -> list[str]:
    """Says that files were left out, if any were."""
    if not skipped:
        return []
    return [f"  LEFT OUT, since they cannot be used: {len(skipped)} (on_bad: skip), such as {skipped[0]}"]
