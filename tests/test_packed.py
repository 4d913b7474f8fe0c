"""Records in one object: equal to those they were made of, and without memory of their own in loader processes."""

import multiprocessing
import pickle
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from datamodules.cache.encodings import BandsEncoding, ProportionalEncoding
from datamodules.cache.pinned_states import PinnedStates
from datamodules.images.check import ImageFile
from datamodules.images.packed_images import pack_images
from datamodules.io.bands import BandLayout
from datamodules.segmentation.label_map import LabelMap
from datamodules.segmentation.mask_encodings import ClassesEncoding
from datamodules.segmentation.packed_samples import pack_samples
from datamodules.segmentation.samples import Sample
from datamodules.storage.tar_member import LocalShard, TarMember, tar_member
from tests.helpers.tar_shards import write_tar

SIZE = ProportionalEncoding(375, 500, 12)


def images(number: int) -> list[ImageFile]:
    return [ImageFile(f"{i}.jpg", Path(f"/data/{i}.jpg"), SIZE, gray=i % 2 == 0, largest=i) for i in range(number)]


def sample(number: int, **changes: object) -> Sample:
    encoding = ClassesEncoding(LabelMap({0: 0, 7: 1}), orientation=1 + number % 2)
    fields = {"name": f"ü{number}.tif", "image": Path(f"/data/ü{number}.tif"), "mask": Path(f"/data/{number}.png")}
    return Sample(**fields, encoding=encoding, shape=(640 + number, 480), bits=12, **changes)  # type: ignore[arg-type]


def test_images_are_equal_to_those_that_were_packed() -> None:
    originals = images(5)
    packed = pack_images(originals)
    assert list(packed) == originals
    assert packed[-1] == originals[-1]
    assert packed[1:3] == originals[1:3]
    assert packed == pack_images(originals)
    assert packed != pack_images(originals[:4])
    assert packed != pack_images([*originals[:4], originals[0]])
    assert list(pickle.loads(pickle.dumps(packed))) == originals
    with pytest.raises(IndexError):
        packed[5]


def test_no_images() -> None:
    assert list(pack_images([])) == []


def test_samples_are_equal_and_keep_few_encodings() -> None:
    bands = BandsEncoding(BandLayout(channels=2), states=((5, 6),))
    originals = [sample(0), sample(1), sample(2, bands=bands)]
    packed = pack_samples(originals)
    assert list(packed) == originals
    assert packed[0].encoding is packed[2].encoding
    assert packed[0].encoding is not packed[1].encoding


def test_file_in_a_shard_is_read_and_its_shard_kept_once(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", {"x/1.jpg": b"first", "x/2.jpg": b"second"})
    status = shard.stat()
    tar = LocalShard(shard, (status.st_size, status.st_mtime_ns))
    # A header of a tar file has 512 bytes, and files start at multiples of 512.
    files = [tar_member(shard.as_posix(), f"x/{1 + i}.jpg", tar, 512 + 1024 * i, 5 + i) for i in range(2)]
    packed = pack_images(ImageFile(f"{i}", file, SIZE, gray=False) for i, file in enumerate(files))
    first, second = packed[0].path, packed[1].path
    assert isinstance(first, TarMember)
    assert isinstance(second, TarMember)
    assert (first, second) == (files[0], files[1])
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert first.shard is second.shard


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_forked_process_copies_little_memory_of_packed_images() -> None:
    growth = [_private_growth(make(images(20_000))) for make in (list, pack_images)]
    assert growth[0] > 5e6  # 400 bytes an image: all of the list
    assert growth[1] < growth[0] / 2  # what is left is the interpreter's table of the texts of paths


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_forked_process_copies_little_memory_of_pinned_states() -> None:
    states = PinnedStates()
    states.add((Path(f"/data/{i}.jpg"), (i, 2**40 + i)) for i in range(100_000))
    texts = {f"/data/{i}.jpg": (i, 2**40 + i) for i in range(100_000)}
    forms: list[Callable[[Path], object]] = [lambda path: texts[str(path)], states.get]
    growth = [_growth(partial(_read_states, form)) for form in forms]
    assert growth[0] > 10e6
    assert growth[1] < growth[0] / 2  # what is left is the interpreter's table of the texts of paths


def test_states_of_pinned_files() -> None:
    states = PinnedStates()
    states.add([(Path("b"), (1, 10)), (Path("a"), (2, 20))])
    states.add([(Path("b"), (3, 30)), (Path("ü"), (4, 2**62))])
    assert len(states) == 3
    found = [states.get(Path(name)) for name in ("a", "b", "ü", "c")]
    assert found == [(2, 20), (3, 30), (4, 2**62), None]
    copied = pickle.loads(pickle.dumps(states))
    assert copied.get(Path("a")) == (2, 20)


def _read_states(get: Callable[[Path], object]) -> None:
    for i in range(100_000):
        assert get(Path(f"/data/{i}.jpg"))


def _private_growth(records: Sequence[ImageFile]) -> float:
    def read() -> None:
        for i in range(len(records)):
            assert records[i].path.name

    return _growth(read)


def _growth(read: Callable[[], object]) -> float:
    """Bytes that become private to a forked process while it reads."""
    context = multiprocessing.get_context("fork")
    there, here = context.Pipe()

    def measure() -> None:
        import gc

        gc.freeze()
        before = _private()
        read()
        here.send(_private() - before)

    process = context.Process(target=measure)
    process.start()
    grown: float = there.recv()
    process.join()
    return grown


def _private() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))
