"""The order within windows of tar shards: a permutation that is a function of (seed, epoch), startable anywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.images.super_resolution import SuperResolutionDataModule
from datamodules.loading.sampler import TrainBatches
from datamodules.loading.shard_window import ShardWindow
from datamodules.stage import Stage
from tests.helpers.tar_shards import pack
from tests.helpers.tiny_images import save_images

COUNTS = (5, 9, 7, 1, 8, 10)
WINDOW = ShardWindow(COUNTS, 2)
SHARD = np.repeat(np.arange(len(COUNTS)), COUNTS)  # of each sample


def batches(**options: int) -> list[list[int]]:
    sampler = TrainBatches(length=40, batch_size=8, seed=1, window=WINDOW, **options)
    return [[key.index for key in batch] for batch in sampler]


@pytest.mark.parametrize("window", [1, 2, 3, 6, 7])
def test_every_window_reads_so_many_whole_shards(window: int) -> None:
    order = ShardWindow(COUNTS, window).order(3, 4)
    assert sorted(order) == list(range(40))
    position = 0
    while position < 40:
        found: set[int] = set()
        first = position
        while position < 40 and (SHARD[order[position]] in found or len(found) < window):
            found.add(int(SHARD[order[position]]))
            position += 1
        assert position - first == sum(COUNTS[shard] for shard in found)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(WINDOW.order(3, 4), WINDOW.order(3, 4))
    orders = [tuple(WINDOW.order(seed, epoch)) for seed in range(3) for epoch in range(20)]
    assert len(set(orders)) == 60
    # Every shard comes first at some time, and samples within a window are mixed.
    assert {int(SHARD[order[0]]) for order in orders} == set(range(6))
    switches = [np.count_nonzero(np.diff(SHARD[list(order)])) for order in orders]
    assert min(switches) > len(COUNTS)


def test_samples_of_one_shard_are_shuffled_without_bias() -> None:
    single = ShardWindow((4,), 1)
    first = np.bincount([single.order(seed, 0)[0] for seed in range(2000)], minlength=4)
    assert (abs(first - 500) < 100).all()  # five standard deviations


def test_batches_can_start_anywhere_and_are_divided_among_ranks() -> None:
    whole = batches(epoch=5)
    assert batches(epoch=5, start=3) == whole[3:]
    shares = [batches(epoch=5, rank=rank, world=2, start=1) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in whole[1:]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_gets_the_remaining_batches(tmp_path: Path, workers: int) -> None:
    pack(save_images(tmp_path / "images", 20), tmp_path / "tar", shards=4)
    stage = Stage(name="2x", size=8, scale=2, batch_size=4, epochs=1, lr=1e-3, augment=True)

    def data() -> SuperResolutionDataModule:
        made = SuperResolutionDataModule(
            root=tmp_path / "tar", val_share=0.2, crops=2, num_workers=workers, shard_window=2, cache_gb=0
        )
        made.prepare([stage])
        made.set_stage(stage)
        return made

    first, second = data(), data()
    window = first.window(stage)
    assert window is not None
    assert sum(window.samples) == 32
    assert window.window == 2
    whole = [batch["high_res"].clone() for batch in first.train_dataloader()]
    second._progress = lambda: (0, 3)  # type: ignore[method-assign]
    rest = [batch["high_res"].clone() for batch in second.train_dataloader()]
    assert len(whole) == 8
    assert len(rest) == 5
    assert all((a == b).all() for a, b in zip(whole[3:], rest, strict=True))
    shares = []
    for rank in range(2):
        second._rank_and_world = lambda rank=rank: (rank, 2)  # type: ignore[method-assign, misc]
        shares.append([batch["high_res"].clone() for batch in second.train_dataloader()])
    for batch, *parts in zip(whole[3:], *shares, strict=True):  # ranks take turns within a batch
        assert (batch == torch.stack(parts, dim=1).flatten(0, 1)).all()
