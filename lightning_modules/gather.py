"""Tables from all processes."""

from typing import TypeVar

import torch.distributed as dist

Row = TypeVar("Row")


def gathered(rows: list[Row]) -> list[Row]:
    """Puts the rows of all processes together; in a single process these are the rows themselves."""
    if not (dist.is_available() and dist.is_initialized()):
        return rows
    shares: list[list[Row]] = [[]] * dist.get_world_size()
    dist.all_gather_object(shares, rows)
    return [row for share in shares for row in share]
