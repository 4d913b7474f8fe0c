"""Pure questions about a list of stages: which one an epoch belongs to, and where they begin and end."""

from collections.abc import Sequence
from itertools import accumulate

from datamodules.stage import Stage


def stage_ends(stages: Sequence[Stage]) -> list[int]:
    """Counts the epochs done when each stage is over.

    >>> a = Stage(name="a", size=64, batch_size=8, epochs=2, lr=1e-3)
    >>> b = Stage(name="b", size=128, batch_size=4, epochs=3, lr=1e-3)
    >>> stage_ends([a, b])
    [2, 5]
    """
    return list(accumulate(stage.epochs for stage in stages))


def stage_index(stages: Sequence[Stage], epoch: int) -> int:
    """Finds the stage that trains ``epoch`` (counted from 0); epochs after the last stage belong to it.

    >>> a = Stage(name="a", size=64, batch_size=8, epochs=2, lr=1e-3)
    >>> b = Stage(name="b", size=128, batch_size=4, epochs=3, lr=1e-3)
    >>> [stage_index([a, b], epoch) for epoch in (0, 1, 2, 4, 5)]
    [0, 0, 1, 1, 1]
    """
    return next((i for i, end in enumerate(stage_ends(stages)) if epoch < end), len(stages) - 1)
