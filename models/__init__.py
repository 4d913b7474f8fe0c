"""Networks and losses: tensors to tensors, on torch and torchvision alone."""
