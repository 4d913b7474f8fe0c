"""Lightning modules: batch to loss, metrics and step output."""
