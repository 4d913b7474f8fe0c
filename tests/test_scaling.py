"""The cost model against values computed by hand."""

import pytest

from experiments.benchmarks.cost_model import Machine, Work, epoch_seconds, exchange_seconds, step
from experiments.benchmarks.count import recipe_work
from experiments.benchmarks.scaling import STAGES
from experiments.tasks.table import TASKS

WORK = Work(name="", images=80, validation=16, batch=8, operations=30.0, gradient=64.0, image=5.0)
MACHINE = Machine(
    rate=10.0, floor=2.0, pause=7.0, node=4, near=32.0, far=16.0, hop=0.25, loading=1.0, hidden=0.5
)  # fmt: skip


def test_all_reduce_is_a_ring_per_node_and_one_over_nodes() -> None:
    assert exchange_seconds(64.0, MACHINE, processes=1) == 0
    assert exchange_seconds(64.0, MACHINE, processes=2) == pytest.approx(2 * 0.5 * 2 + 2 * 0.25)
    # four of a node: 3/4 of 64 bytes twice at 32 a second and 6 hops; two nodes: 1/2 twice at 16 a second and 2 hops
    assert exchange_seconds(64.0, MACHINE, processes=8) == pytest.approx((3.0 + 1.5) + (4.0 + 0.5))


def test_step_overlaps_all_reduce_and_loading() -> None:
    alone = step(WORK, MACHINE, processes=1, batch=8)
    assert (alone.compute, alone.load, alone.exchange) == (26.0, 40.0, 0.0)
    assert (alone.seconds, alone.bound) == (40.0, "loading")
    eight = step(WORK, MACHINE, processes=8, batch=8)
    assert (eight.compute, eight.load, eight.exchange) == pytest.approx((5.0, 5.0, 9.0))
    assert eight.seconds == pytest.approx(5.0 + (9.0 - 2.5))
    assert eight.bound == "network"


def test_epoch_is_full_batches_validation_and_pause() -> None:
    # one batch of 64 waits 40 s for its images; each of eight validates two images, a third of 3 s each
    assert epoch_seconds(WORK, MACHINE, processes=8, batch=64) == pytest.approx(1 * 40.0 + 2 * 1.0 + 7.0)


def test_operations_are_those_of_the_layers() -> None:
    def conv(ins: int, outs: int, side: int) -> int:
        return 2 * ins * outs * 9 * side**2

    (work,) = recipe_work("sr", "imagenet", ["2x"], images=1, validation=1)
    first = conv(3, 64, 72)
    net = first + 17 * conv(64, 64, 72) + conv(64, 256, 72) + conv(64, 3, 144)
    vgg = conv(3, 64, 144) + conv(64, 64, 144) + conv(64, 128, 72) + conv(128, 128, 72)
    vgg += conv(128, 256, 36) + 2 * conv(256, 256, 36)
    # both passes back for the network, whose input needs none; the VGG sees two images, and one pass goes back
    assert work.operations == 3 * net - first + 3 * vgg
    assert work.batch == 64


@pytest.mark.parametrize("task", STAGES)
def test_stages_of_the_tables_exist(task: str) -> None:
    recipe, stages, _, _ = STAGES[task]
    text = TASKS[task].recipe_file(recipe).read_text(encoding="utf-8")
    assert all(f"name: {stage}," in text for stage in stages)
