"""The errors that are shown as one line."""

from callbacks.errors import CheckpointError, NonFiniteError, OutputError, ReplicaError, StageError
from datamodules.errors import DataError
from experiments.cli.usage import UsageError
from models.weights.pretrained import WeightsError

MISTAKES = (UsageError, DataError, WeightsError, CheckpointError, StageError)
FAILURES = (NonFiniteError, OutputError, ReplicaError)
