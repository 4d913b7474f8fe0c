"""Super-resolution network and its parts."""
