"""``prepare``: checks the data and fills the cache for all stages, nothing else."""

from jsonargparse import ArgumentParser

from experiments.runs.context import RunContext


def add_arguments(parser: ArgumentParser) -> None:
    """Adds nothing."""


def run(context: RunContext) -> int:
    """Does before a run what the run would do itself, so that it can begin at once."""
    context.datamodule.prepare(context.stages)
    sizes = ", ".join(str(size) for size in sorted({stage.size for stage in context.stages}))
    print(f"the data are in order and ready at {sizes} px")
    return 0
