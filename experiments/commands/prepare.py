"""``prepare``: checks the data and fills the cache."""

from experiments.runs.context import RunContext


def run(context: RunContext) -> int:
    """Checks the data and fills the cache for all stages, without training."""
    context.datamodule.prepare(context.stages)
    sizes = ", ".join(str(size) for size in sorted({stage.size for stage in context.stages}))
    print(f"the data is checked and cached at {sizes} px")
    return 0
