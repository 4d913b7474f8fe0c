"""Settings of ``fit`` beside trainer, model and data, apart from its callbacks, whose imports other commands save."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Averaging:
    """Exponential moving average of the weights, restarted in every stage. The average is validated and saved.

    Args:
        decay: weight of the previous average in every step, typically 0.99 to 0.9999; ``None`` keeps no average.

    Raises:
        ValueError: if ``decay`` is out of its range.
    """

    decay: float | None = None

    def __post_init__(self) -> None:
        if self.decay is not None and not 0 <= self.decay < 1:
            raise ValueError(f"decay is {self.decay:g}: expected at least 0 and less than 1, for example 0.999")


@dataclass(frozen=True, kw_only=True)
class Saving:
    """When checkpoints are written, in addition to the end of every epoch.

    Args:
        every_n_steps: optimizer steps between two updates of ``last.ckpt`` inside an epoch; 0 writes none there.

    Raises:
        ValueError: if ``every_n_steps`` is negative.
    """

    every_n_steps: int = 500

    def __post_init__(self) -> None:
        if self.every_n_steps < 0:
            raise ValueError(f"checkpoint.every_n_steps must be 0 or more, not {self.every_n_steps}")
