"""Training speed, and the fraction of time that is spent waiting for data."""

from typing import NamedTuple


class Speed(NamedTuple):
    """Averages over the time since the last reading."""

    images_per_second: float
    data_wait_share: float  # fraction of the time, 0 to 1


class StepClock:
    """Sums the time of steps and the time of waiting for batches; other time, such as validation, is not counted.

    CUDA is asynchronous: ``end`` is called when the kernels of a step are queued. If the GPU is the bottleneck, its
    time still appears in later steps, which block on the queue.

    >>> clock = StepClock()
    >>> clock.wait(0.0); clock.begin(1.0); clock.end(4.0, images=8)
    >>> clock.read()
    Speed(images_per_second=2.0, data_wait_share=0.25)
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._waited = 0.0
        self._worked = 0.0
        self._images = 0

    def wait(self, now: float) -> None:
        """Starts waiting for a batch at ``now`` (seconds), where no step has just ended."""
        self._last = now

    def begin(self, now: float) -> None:
        """Ends waiting: a batch has arrived."""
        self._waited += now - self._last
        self._last = now

    def end(self, now: float, images: int) -> None:
        """Ends a step of ``images`` images on all ranks, and starts waiting for the next batch."""
        self._worked += now - self._last
        self._last = now
        self._images += images

    def read(self) -> Speed | None:
        """Returns the speed since the last reading, ``None`` if there was no step."""
        total = self._waited + self._worked
        speed = Speed(self._images / total, self._waited / total) if self._images and total > 0 else None
        self._waited = self._worked = 0.0
        self._images = 0
        return speed
