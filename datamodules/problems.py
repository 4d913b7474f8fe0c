"""What is wrong with a data set: collected first, then told all at once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DataError

NAMED = 20  # how many problems a message names; the others are counted


class Problem(NamedTuple):
    """One thing wrong with one file."""

    kind: str  # what the heading counts, such as "image without a mask"
    name: str  # the file, relative to the data's root
    detail: str = ""  # what was found, and what was expected

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
