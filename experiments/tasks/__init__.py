"""The task table and what each task adds to the commands."""
