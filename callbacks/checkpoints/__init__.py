"""Writing of checkpoints and of the run's other files."""
