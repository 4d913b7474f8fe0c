"""Exceptions the user can act on; shown as one line without a traceback."""


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or unsuitable; the message names the file and what to do."""


class NonFiniteError(RuntimeError):
    """The loss or a weight is infinite or NaN; the message names step, learning rate and images."""


class InterruptedRunError(RuntimeError):
    """The run was asked to stop, saved a checkpoint and can be resumed: exit code 75.

    Not a ``KeyboardInterrupt``, which Lightning turns into exit code 1.
    """


class StageError(RuntimeError):
    """A stage cannot be trained, for example for lack of memory; the message names the stage and what to change."""


class OutputError(RuntimeError):
    """A result cannot be written; the message names the file and what was kept."""


class ExportError(RuntimeError):
    """A network cannot be exported, or its export gives other results; the message names the layer or the file."""


class ReplicaError(RuntimeError):
    """The ranks no longer hold the same weights; the message names the first tensor that differs."""
