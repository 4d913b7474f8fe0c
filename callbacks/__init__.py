"""Things that happen at a moment of training."""
