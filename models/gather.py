"""What processes tell each other beside gradients: small things, as Python objects."""

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def gather_objects(mine: T) -> list[T]:
    """Gives what every process has, process 0's first; all of them have to call this.

    Args:
        mine: whatever can be pickled; small, since every process gets all.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [mine]
    shares: list[T] = [mine] * dist.get_world_size()
    dist.all_gather_object(shares, mine)
    return shares


def gather_rows(rows: list[T]) -> list[T]:
    """Puts the rows of all processes together, process 0's first; all of them have to call this."""
    return [row for share in gather_objects(rows) for row in share]


def broadcast_object(rank: int, mine: T | None) -> T:
    """Gives what process ``rank`` has; all of them have to call this.

    Args:
        rank: number of the process that has it.
        mine: whatever can be pickled; looked at on that process alone.

    Raises:
        RuntimeError: if that process has nothing either.
    """
    box = [mine]
    if dist.is_available() and dist.is_initialized():
        dist.broadcast_object_list(box, src=rank)
    if box[0] is None:
        raise RuntimeError(f"process {rank} has nothing to give")
    return box[0]
