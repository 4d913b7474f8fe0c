"""What a run can die of that its user can do something about."""


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged, or of another kind; the message names the file and the way out."""


class NonFiniteError(RuntimeError):
    """The loss or a weight is no longer a number; the message names step, rate and images."""


class InterruptedRunError(RuntimeError):
    """The run was asked to stop, saved itself and can be resumed: exit code 75.

    Not a ``KeyboardInterrupt``: Lightning turns that into exit code 1.
    """


class StageError(RuntimeError):
    """A stage cannot be trained here, for want of memory say; the message names the stage and what to change."""


class OutputError(RuntimeError):
    """A result cannot be written; the message names the file and says what was kept."""


class ReplicaError(RuntimeError):
    """The processes of a run no longer hold the same network; the message names the first tensor that differs."""
