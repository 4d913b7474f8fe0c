"""``prepare``: checks the data and fills the cache, or converts annotations of other tools with ``--from``."""

from jsonargparse import ArgumentParser

from experiments.commands import import_annotations
from experiments.runs.context import RunContext


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of the import."""
    import_annotations.add_arguments(parser)


def run(context: RunContext) -> int:
    """Checks the data and fills the cache for all stages, without training; or imports annotations."""
    if context.config["from"] is not None:
        return import_annotations.run_import(context)
    import_annotations.refuse_import_options(context.config)
    context.datamodule.prepare(context.stages)
    sizes = ", ".join(str(size) for size in sorted({stage.size for stage in context.stages}))
    print(f"the data is checked and cached at {sizes} px")
    return 0
