"""The task table, and one file per task."""
