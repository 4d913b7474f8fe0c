"""The errors that are shown as one line."""

from callbacks.errors import CheckpointError, NonFiniteError, OutputError, ReplicaError, StageError
from datamodules.errors import DataError
from experiments.suggest import UsageError
from models.errors import WeightsError

MISTAKES = (UsageError, DataError, WeightsError, CheckpointError, StageError)
FAILURES = (NonFiniteError, OutputError, ReplicaError)
