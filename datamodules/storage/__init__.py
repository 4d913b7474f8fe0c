"""Images that are no files of their own: those in tar shards, and those behind URLs."""
