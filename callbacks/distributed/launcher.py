"""Starts the other processes of a machine: when one fails all end soon, and the first error is said last."""

import faulthandler
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from callbacks.distributed.child_processes import Siblings
from callbacks.distributed.error_files import FOLDER, STARTER, starter


class RunLauncher(_SubprocessScriptLauncher):
    """Starts processes as Lightning does, and looks after them in another way.

    Lightning's own observer kills all processes, the first one included, up to five seconds after any exit code but 0:
    a run that was stopped, with code 75, may end with 137, and whoever is killed last has the last word. When the
    first process fails, or when one hangs, it does nothing. What the others do when the first one is killed is in
    ``experiments/cli/signals.py``.
    """

    siblings: Siblings | None = None

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Trainer | None = None, **kwargs: Any) -> Any:
        """Starts the other processes, where no scheduler has, and calls ``function``."""
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            folder = tempfile.mkdtemp(prefix="darkroom-errors-")
            os.environ |= {FOLDER: folder, STARTER: str(os.getpid())}
            self._call_children_scripts()
            self.siblings = Siblings(self.procs, Path(folder))
        elif starter() is not None:
            faulthandler.enable()  # asked to abort, it says where it hangs
        _set_num_threads_if_needed(num_processes=self.num_processes)
        return function(*args, **kwargs)

    def kill(self, signum: int) -> None:
        """Ends the other processes because the user wants an end at once: nothing failed."""
        if self.siblings is not None:
            self.siblings.forget()
        super().kill(signum)
