"""What ``predict`` needs to know of a task."""

from dataclasses import dataclass

from lightning import LightningDataModule

from callbacks.prediction_writer import ResultFiles, Table


@dataclass(frozen=True, kw_only=True)
class Results:
    """What is read and what is written.

    Args:
        data: gives the pictures in batches.
        files: writes the files of one picture.
        table: a text file over all pictures, if one is wanted.
        waiting: how many predictions may be in memory, waiting to be written.
    """

    data: LightningDataModule
    files: ResultFiles
    table: Table | None = None
    waiting: int = 8
