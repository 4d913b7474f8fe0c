"""Results of the check of single files, which shards of ``prepare`` leave for the check of the whole data set."""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from datamodules.cache.check_results import RESULT_FORMAT, read_result, write_result
from datamodules.cache.encodings import file_state
from datamodules.errors import DataError
from datamodules.loading.parallel import map_files
from datamodules.loading.shard import Shard

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Size and modification time of each file of an image, as JSON holds them; ``None`` if one is missing.
States = list[list[int]] | None

#: What shards have stored about an image, by its name: states of its files and plain values. An image has several
#: entries if the set was divided in several ways.
Stored = Mapping[str, Sequence[Any]]


class FileResults:
    """A folder with one file for each shard; several processes and hosts may write theirs at the same time.

    Args:
        results: folder of the results of checks.
        root: the data's root.
        about: everything else that the results depend on.
    """

    def __init__(self, results: Path, root: Path, *, about: str) -> None:
        text = f"{RESULT_FORMAT} {about}\n{root}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        self._folder = results / f"{digest[:32]}.shards"

    def read(self) -> Stored:
        """What all shards have stored; files that are damaged are left out."""
        found: dict[str, list[Any]] = defaultdict(list)
        for path in sorted(self._folder.glob("*.json")):
            stored = read_result(path)
            for name, entry in stored.items() if isinstance(stored, dict) else ():
                found[name].append(entry)
        return dict(found)

    def write(self, shard: Shard, results: Mapping[str, tuple[States, Any]]) -> None:
        """Writes the results of a shard, and replaces those that it wrote before.

        Args:
            shard: the shard.
            results: states of the files before they were checked, and plain values, by name of the image.

        Raises:
            DataError: if the folder cannot be written to.
        """
        write_result(self._folder / f"{shard.number} of {shard.count}.json", dict(results))


def map_unknown(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    names: Sequence[str],
    files: Callable[[Item], Iterable[Path]],
    stored: Stored,
    load: Callable[[Any], Result | None],
    workers: int,
    title: str,
) -> list[Result | DataError]:
    """Calls ``function``, as ``map_files`` does, on the items without a stored result of their files as they are now.

    Args:
        function: importable by name.
        items: arguments of the calls.
        names: names of the items.
        files: the files that the result of an item depends on.
        stored: results of shards.
        load: makes a result of its plain values; ``None`` if they are damaged.
        workers: processes that share the work.
        title: of the progress bar.

    Returns:
        Results and errors in the order of ``items``.
    """
    known: dict[int, Result] = {}
    for number, (name, item) in enumerate(zip(names, items, strict=True)):
        if entries := stored.get(name):
            states = states_of(files(item))
            fitting = (entry for entry in entries if isinstance(entry, list) and len(entry) == 2 and entry[0] == states)
            if states is not None and (entry := next(fitting, None)) and (result := load(entry[1])) is not None:
                known[number] = result
    rest = [item for number, item in enumerate(items) if number not in known]
    outcomes = iter(map_files(function, rest, workers=workers, title=title))
    return [known[number] if number in known else next(outcomes) for number in range(len(items))]


def states_of(paths: Iterable[Path]) -> States:
    """Size and modification time of each file; ``None`` if one is missing."""
    with contextlib.suppress(DataError):
        return [list(file_state(path)) for path in paths]
    return None
