"""Paths as plain values, for records that are stored as bytes."""

import pickle
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.storage.tar_member import TarMember, TarShard, tar_member

#: The text of a path; the number of a tar shard with name, start and length of a file in it; or a pickled path.
PathValue = str | tuple[int, str, int, int] | bytes

_PLAIN = type(Path())


@dataclass
class PathTable:
    """Converts paths to values and back. The tar shards are kept once."""

    _shards: list[tuple[str, TarShard]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)  # in the list above, by the path of a shard

    def value(self, path: Path) -> PathValue:
        """The value of a path."""
        if isinstance(path, TarMember):
            if path.shard_path not in self._numbers:
                self._numbers[path.shard_path] = len(self._shards)
                self._shards.append((path.shard_path, path.shard))
            return self._numbers[path.shard_path], path.name_in_shard, path.start, path.length
        return str(path) if type(path) is _PLAIN else pickle.dumps(path)

    def path(self, value: PathValue) -> Path:
        """A path equal to the one that ``value`` was given."""
        if isinstance(value, str):
            return Path(value)
        if isinstance(value, tuple):
            number, name, start, length = value
            shard_path, shard = self._shards[number]
            return tar_member(shard_path, name, shard, start, length)
        path: Path = pickle.loads(value)
        return path
