"""Settings every test shares."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the registry, 2 s when offline

import torch

# On two cores the suite is 4x faster with one thread: the tensors are small and the pools fight.
torch.set_num_threads(1)
