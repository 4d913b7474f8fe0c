"""Analytical model of a training step's time on many processes: compute, gradient all-reduce and data loading."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Work:
    """Cost figures of one stage of a recipe.

    Args:
        name: task and stage.
        images: training images per epoch.
        validation: validation images per epoch.
        batch: images per step, over all processes.
        operations: floating-point operations per image: forward, loss and backward.
        gradient: bytes of gradients that are all-reduced per step.
        image: bytes that the loader delivers per image, target included.
    """

    name: str
    images: int
    validation: int
    batch: int
    operations: float
    gradient: float
    image: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Speed figures of the machine.

    Args:
        rate: floating-point operations per second of one process.
        floor: seconds per step that do not depend on the batch: kernel launches, logging, optimizer.
        pause: seconds per epoch beside its steps: saving, figures, start of the loaders.
        node: processes per node.
        near: bytes per second between processes of a node.
        far: bytes per second between nodes.
        hop: latency of a message in seconds.
        loading: bytes per second that the loader processes of one training process deliver.
        hidden: fraction of the compute time that overlaps with the all-reduce; at most that of the backward pass, 2/3.
    """

    rate: float
    floor: float
    pause: float
    node: int
    near: float
    far: float
    hop: float
    loading: float
    hidden: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """Seconds of a step by part.

    Args:
        floor: the constant part of ``compute``.
        compute: forward, loss, backward and ``floor``.
        load: until the next batch is loaded.
        exchange: all-reduce of the gradients.
        visible: the part of ``exchange`` that does not overlap with compute.
    """

    floor: float
    compute: float
    load: float
    exchange: float
    visible: float

    @property
    def seconds(self) -> float:
        """Total; loading runs in parallel to the rest."""
        return max(self.compute + self.visible, self.load)

    @property
    def bound(self) -> str:
        """The bottleneck: loading, network, overhead or computing."""
        if self.load > self.compute + self.visible:
            return "loading"
        if self.visible > 0.5 * self.compute:
            return "network"
        return "overhead" if self.floor > 0.5 * self.compute else "computing"


def step(work: Work, machine: Machine, *, processes: int, batch: int) -> Step:
    """Estimates the time of one step.

    Args:
        work: the stage.
        machine: the machine.
        processes: number of processes that share the batch.
        batch: images per step, over all processes.

    >>> work = Work(name="", images=100, validation=0, batch=8, operations=1.0, gradient=8.0, image=1.0)
    >>> machine = Machine(rate=1.0, floor=2.0, pause=0, node=2, near=8.0, far=4.0, hop=0, loading=9.0, hidden=0.0)
    >>> step(work, machine, processes=1, batch=8).seconds  # 2 + 8
    10.0
    >>> step(work, machine, processes=4, batch=8).seconds  # 2 + 2, then half a gradient each way: 1 near and 2 far
    7.0
    """
    share = batch / processes
    compute = machine.floor + share * work.operations / machine.rate
    exchange = exchange_seconds(work.gradient, machine, processes=processes)
    return Step(
        floor=machine.floor,
        compute=compute,
        load=share * work.image / machine.loading,
        exchange=exchange,
        visible=max(0.0, exchange - machine.hidden * compute),
    )


def exchange_seconds(gradient: float, machine: Machine, *, processes: int) -> float:
    """Seconds of an all-reduce of the gradients.

    A ring of P processes moves ``2 (P - 1) / P`` times the bytes (Patarasuk and Yuan 2009, "Bandwidth optimal
    all-reduce algorithms for clusters of workstations"). The model has one ring in each node and one over the nodes.
    """
    inside, nodes = min(processes, machine.node), -(-processes // machine.node)
    seconds = 0.0
    for members, speed in ((inside, machine.near), (nodes, machine.far)):
        seconds += 2 * (members - 1) / members * gradient / speed + 2 * (members - 1) * machine.hop
    return seconds


def epoch_seconds(work: Work, machine: Machine, *, processes: int, batch: int) -> float:
    """Seconds of an epoch with validation, which costs a third of the operations per image (forward only)."""
    steps = work.images // batch
    validation = -(-work.validation // processes) * work.operations / 3 / machine.rate
    return steps * step(work, machine, processes=processes, batch=batch).seconds + validation + machine.pause
