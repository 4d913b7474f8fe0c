"""The command line, recipes and benchmarks, and trained networks from Python.

>>> import experiments as darkroom
>>> net = darkroom.load("runs/segment/sample/checkpoints/best.ckpt")  # doctest: +SKIP
>>> net("image.jpg").mask  # doctest: +SKIP

The public names are listed in ``__init__.pyi``. They are imported when they are first used: importing torch takes
seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
