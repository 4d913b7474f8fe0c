"""Batches do not depend on the number of ranks, can start anywhere, and are never padded."""

import pytest

from datamodules.errors import DataError
from datamodules.loading.sampler import EvalBatches, Key, TrainBatches, sample_seed


def batches(**options: int) -> list[list[int]]:
    settings = {"length": 50, "batch_size": 8, "seed": 1} | options
    return [[key.index for key in batch] for batch in TrainBatches(**settings)]


def test_epoch_has_every_full_batch_and_no_image_twice() -> None:
    found = batches()
    assert [len(batch) for batch in found] == [8] * 6
    assert len({index for batch in found for index in batch}) == 48


@pytest.mark.parametrize(("world", "accumulate"), [(8, 1), (4, 2), (2, 4), (1, 8), (1, 1)])
def test_global_batch_does_not_depend_on_the_ranks(world: int, accumulate: int) -> None:
    shares = [batches(rank=rank, world=world, accumulate=accumulate) for rank in range(world)]
    steps = len(shares[0]) // accumulate
    seen = [
        sorted(i for share in shares for part in share[step * accumulate : (step + 1) * accumulate] for i in part)
        for step in range(steps)
    ]
    assert seen == [sorted(batch) for batch in batches()]


def test_start_batch_is_used_once() -> None:
    sampler = TrainBatches(length=50, batch_size=8, seed=1, epoch=4, start=3)
    assert len(sampler) == 6
    whole = list(TrainBatches(length=50, batch_size=8, seed=1, epoch=4))
    # Lightning asks for an iterator twice at the start; the answer must not wear out
    assert list(sampler) == whole[3:] == list(sampler)
    sampler.set_epoch(5)
    assert list(sampler) == list(TrainBatches(length=50, batch_size=8, seed=1, epoch=5))


def test_evaluation_shares_are_a_partition() -> None:
    shares = [
        [key for batch in EvalBatches(length=9, batch_size=2, rank=r, world=4) for key in batch] for r in range(4)
    ]
    assert [len(share) for share in shares] == [3, 2, 2, 2]
    assert sorted(key.index for share in shares for key in share) == list(range(9))
    assert list(EvalBatches(length=2, batch_size=2, rank=2, world=4)) == [[]]  # none to judge, but taking part
    assert shares[0][0] == Key(0, 0)


def test_invalid_batch_size_is_refused() -> None:
    with pytest.raises(DataError, match="batch_size 51 is larger than the training set of 50 images"):
        batches(batch_size=51)
    with pytest.raises(DataError, match="cannot be divided among 3 processes x 1 accumulated batches"):
        batches(world=3)


def test_neighbouring_seeds_are_unrelated() -> None:
    seeds = {sample_seed(s, e, i) for s in range(4) for e in range(10) for i in range(100)}
    assert len(seeds) == 4000


def test_repeated_epochs_have_the_same_samples_and_augmentation() -> None:
    sampler = TrainBatches(length=50, batch_size=8, seed=1, repeat=True)
    first = list(sampler)
    sampler.set_epoch(3)
    assert list(sampler) == first
    assert {key.epoch for batch in first for key in batch} == {0}


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="there are no training images"):
        TrainBatches(length=0, batch_size=8, seed=1)
