"""Networks and losses: tensors to tensors, on torch and torchvision alone.

The public classes are listed in ``__init__.pyi``. They are imported when they are first used: importing torch takes
seconds, and a module below this package must not import all the others.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
