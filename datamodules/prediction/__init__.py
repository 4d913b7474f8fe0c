"""Data of the command predict."""
