"""What a training step costs on many processes: computing, exchanging gradients, loading. No measuring, only sums."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Work:
    """One stage of a recipe, as a machine sees it.

    Args:
        name: task and stage.
        images: of an epoch's training.
        validation: images of its validation.
        batch: images of a step, all processes together.
        operations: floating-point operations of an image: forward, loss and backward.
        gradient: bytes that every process gives to the others a step.
        image: bytes that the loader makes ready for an image, target included.
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
    """What the processes run on.

    Args:
        rate: operations a second that a process reaches.
        floor: seconds a step costs whatever is in it: starting kernels, logging, the optimiser.
        pause: seconds an epoch costs beside its steps: saving, figures, loaders that start.
        node: processes of a node.
        near: bytes a second between processes of a node.
        far: bytes a second between nodes.
        hop: seconds that the shortest message takes.
        loading: bytes of images a second that the loader processes of one training process make ready.
        hidden: share of the computing behind which the exchange hides: at most the backward pass, two thirds.
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
    """Seconds of a step, each part by itself.

    Args:
        floor: what every step costs; part of ``compute``.
        compute: forward, loss, backward.
        load: until the next images are ready.
        exchange: until all gradients are.
        visible: what computing does not hide of the exchange.
    """

    floor: float
    compute: float
    load: float
    exchange: float
    visible: float

    @property
    def seconds(self) -> float:
        """Of all together: the next images are loaded meanwhile."""
        return max(self.compute + self.visible, self.load)

    @property
    def bound(self) -> str:
        """What would have to become faster first."""
        if self.load > self.compute + self.visible:
            return "loading"
        if self.visible > 0.5 * self.compute:
            return "network"
        return "overhead" if self.floor > 0.5 * self.compute else "computing"


def step(work: Work, machine: Machine, *, processes: int, batch: int) -> Step:
    """Takes a step apart.

    Args:
        work: what is to be done.
        machine: by what.
        processes: how many share the batch.
        batch: images of the step.

    >>> work = Work(name="", images=100, validation=0, batch=8, operations=1.0, gradient=8.0, image=1.0)
    >>> machine = Machine(rate=1.0, floor=2.0, pause=0, node=2, near=8.0, far=4.0, hop=0, loading=9.0, hidden=0.0)
    >>> step(work, machine, processes=1, batch=8).seconds  # 2 + 8
    10.0
    >>> step(work, machine, processes=4, batch=8).seconds  # 2 + 2, then half a gradient each way: 1 near and 2 far
    7.0
    """
    mine = batch / processes
    compute = machine.floor + mine * work.operations / machine.rate
    exchange = exchange_seconds(work.gradient, machine, processes=processes)
    return Step(
        floor=machine.floor,
        compute=compute,
        load=mine * work.image / machine.loading,
        exchange=exchange,
        visible=max(0.0, exchange - machine.hidden * compute),
    )


def exchange_seconds(gradient: float, machine: Machine, *, processes: int) -> float:
    """Seconds until all processes have the sum of their gradients.

    A ring of P moves ``2 (P - 1) / P`` times the bytes (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce
    algorithms for clusters of workstations"); here one ring in each node, and one over the nodes.
    """
    inside, nodes = min(processes, machine.node), -(-processes // machine.node)
    seconds = 0.0
    for members, speed in ((inside, machine.near), (nodes, machine.far)):
        seconds += 2 * (members - 1) / members * gradient / speed + 2 * (members - 1) * machine.hop
    return seconds


def epoch_seconds(work: Work, machine: Machine, *, processes: int, batch: int) -> float:
    """Seconds of an epoch with its validation, whose forward pass is a third of the operations."""
    steps = work.images // batch
    validation = -(-work.validation // processes) * work.operations / 3 / machine.rate
    return steps * step(work, machine, processes=processes, batch=batch).seconds + validation + machine.pause
