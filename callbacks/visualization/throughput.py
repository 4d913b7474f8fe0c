"""How fast a run trains, and how much of that time it waits for data."""

from typing import NamedTuple


class Speed(NamedTuple):
    """What a clock read since it was read last."""

    images_per_second: float
    data_wait_share: float  # of the time in 0..1


class StepClock:
    """Adds up the time of steps and the time between them; what lies outside ``wait`` and ``end`` is not counted.

    Call ``wait`` when the loop turns to the loader without a step before (an epoch begins, a validation is over),
    ``begin`` when a batch has arrived and ``end`` when the step is done. On a GPU a step ends when its work is
    queued: as long as the GPU is the slower part, the time shows in the steps, which then wait for their turn.

    >>> clock = StepClock()
    >>> clock.wait(0.0); clock.begin(1.0); clock.end(4.0, images=8)
    >>> clock.read()
    Speed(images_per_second=2.0, data_wait_share=0.25)
    """

    def __init__(self) -> None:
        self._mark = 0.0
        self._waited = 0.0
        self._worked = 0.0
        self._images = 0

    def wait(self, now: float) -> None:
        """The loop waits for data from ``now`` (seconds) on."""
        self._mark = now

    def begin(self, now: float) -> None:
        """A batch has arrived."""
        self._waited += now - self._mark
        self._mark = now

    def end(self, now: float, images: int) -> None:
        """The step with so many ``images`` (of all processes) is done; the loop waits for the next batch."""
        self._worked += now - self._mark
        self._mark = now
        self._images += images

    def read(self) -> Speed | None:
        """Gives the speed since the last reading and starts anew; ``None`` if there was no step."""
        total = self._waited + self._worked
        speed = Speed(self._images / total, self._waited / total) if self._images and total > 0 else None
        self._waited = self._worked = 0.0
        self._images = 0
        return speed
