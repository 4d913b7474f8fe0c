"""Run folders, locks and checkpoints."""
