"""Exchange of small Python objects between ranks."""

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def gather_objects(value: T) -> list[T]:
    """Returns the objects of all ranks in the order of ranks; a collective call.

    Args:
        value: anything that can be pickled, and small, since every rank receives all of them.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def gather_rows(rows: list[T]) -> list[T]:
    """Concatenates the lists of all ranks in the order of ranks; a collective call."""
    return [row for rank_rows in gather_objects(rows) for row in rank_rows]


def broadcast_object(rank: int, value: T | None) -> T:
    """Returns the object of one rank on all ranks; a collective call.

    Args:
        rank: the rank that sends.
        value: anything that can be pickled; ignored on all other ranks.

    Raises:
        RuntimeError: if the sending rank passed ``None``.
    """
    objects = [value]
    if dist.is_available() and dist.is_initialized():
        dist.broadcast_object_list(objects, src=rank)
    if objects[0] is None:
        raise RuntimeError(f"rank {rank} broadcast no object")
    return objects[0]
