"""The bits by which the commands read 16-bit images."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from datamodules.errors import DataError
from datamodules.files import FileDataModule
from datamodules.io.bit_depth import FULL_BITS
from datamodules.io.deep_image import largest_deep_value
from datamodules.loading.parallel import map_files
from experiments.runs.context import RunContext


def input_bits(context: RunContext, images: Sequence[Path]) -> int:
    """Returns the bits of 16-bit images for ``predict``, and prints them if they are fewer than 16.

    They are those of ``--data.bits`` or of the checkpoint. If the network was trained without 16-bit images,
    ``--data.bits auto`` measures them over all images that are predicted.
    """
    data = context.datamodule
    if not isinstance(data, FileDataModule):
        return FULL_BITS
    if data.measures_bits:
        found = map_files(largest_deep_value, images, workers=1, title="measuring bits")
        data.decide_bits(value for value in found if not isinstance(value, DataError))
    report_bits(context)
    return data.bits


def report_bits(context: RunContext) -> None:
    """Prints the bits by which 16-bit images are read, if they are fewer than 16."""
    data = context.datamodule
    if isinstance(data, FileDataModule) and data.bits < FULL_BITS:
        rank_zero_only(print)(f"16-bit images are read as {data.bits} bits: {2**data.bits - 1} is white")
