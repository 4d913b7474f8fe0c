"""``prepare``: checks the data and fills the cache, or converts annotations of other tools with ``--from``."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from datamodules.loading.shard import Shard, parse_shard
from experiments.cli.usage import UsageError
from experiments.commands import import_annotations
from experiments.runs.command_line import command_for
from experiments.runs.context import RunContext


def add_arguments(parser: ArgumentParser) -> None:
    """Adds the options of shards and of the import."""
    parser.add_argument(
        "--shard",
        type=str | None,
        default=None,
        help="prepare only this part of the files, such as 3/16: several processes or hosts fill one cache",
    )
    import_annotations.add_arguments(parser)


def run(context: RunContext) -> int:
    """Checks the data and fills the cache for all stages, without training; or imports annotations.

    Raises:
        UsageError: for options that do not go together.
        DataError: for data that cannot be used, or a shard that does not exist.
    """
    shard = None if context.config.shard is None else parse_shard(context.config.shard)
    if context.config["from"] is not None:
        if shard is not None:
            raise UsageError("--shard is for preparing data, not for an import with --from: leave one of them out")
        return import_annotations.run_import(context)
    import_annotations.refuse_import_options(context.config)
    sizes = ", ".join(str(size) for size in sorted({stage.size for stage in context.stages}))
    if shard is None:
        context.datamodule.prepare(context.stages)
        print(f"the data is prepared at {sizes} px")
        return 0
    context.datamodule.prepare_shard(context.stages, shard)
    print("\n".join(next_lines(shard, sizes, sys.argv[1:])))
    return 0


def next_lines(shard: Shard, sizes: str, words: Sequence[str]) -> list[str]:
    """What is done and what to type next.

    Args:
        shard: the shard that is prepared.
        sizes: the sizes that it is cached at.
        words: the command line.
    """
    return [
        f"shard {shard} is prepared at {sizes} px. When all {shard.count} shards are, check what only the "
        "whole set shows (its statistics, duplicates), which decodes nothing again:",
        f"  {command_for(without_shard(words))}",
    ]


def without_shard(words: Sequence[str]) -> list[str]:
    """The command line without ``--shard``.

    >>> without_shard(["prepare", "--shard", "3/16", "--task", "sr"]), without_shard(["prepare", "--shard=3/16"])
    (['prepare', '--task', 'sr'], ['prepare'])
    """
    kept = [word for word in words if not word.startswith("--shard=")]
    if "--shard" in kept:
        start = kept.index("--shard")
        del kept[start : start + 2]
    return kept
