"""``fit``: trains all stages, and says at the end where everything is."""

import time

from lightning.pytorch.utilities import rank_zero_only

from callbacks.distributed.exit_codes import DONE, INTERRUPTED, STOPPED_AT_ONCE
from callbacks.errors import InterruptedRunError, StageError
from callbacks.training.memory_check import is_out_of_memory, out_of_memory_message
from experiments.cli.signals import go_on_with
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.runs.summary import farewell, resume_line


def run(context: RunContext) -> int:
    """Trains, from the start or from where a run was cut.

    Returns:
        0 done, 75 interrupted and resumable, 130 stopped at once by a second Ctrl-C.
    """
    loaded = context.checkpoint
    say = rank_zero_only(print)
    if loaded is not None and 0 <= (context.trainer.max_epochs or 0) <= loaded.epochs_done:
        say(
            f"{relative_to_here(context.folder.path)} is finished, all {loaded.epochs_done} epochs are trained. "
            "There is nothing to resume; start a new run from its weights with --init_from "
            f"{relative_to_here(context.folder.checkpoints / 'best.ckpt')}"
        )
        return 0
    if loaded is not None:
        say(f"going on with {relative_to_here(context.folder.path)} after epoch {loaded.epochs_done}")
    start = time.monotonic()
    go_on_with(lambda: resume_line(context))
    context.datamodule.planned = context.stages
    try:
        context.trainer.fit(
            context.model,
            datamodule=context.datamodule,
            ckpt_path=str(loaded.path) if loaded else None,
            weights_only=True,
        )
    except InterruptedRunError as stop:
        say(f"\n{stop}. Go on with:\n  {resume_line(context)}")
        return INTERRUPTED
    except SystemExit as end:  # Lightning's answer to KeyboardInterrupt
        if isinstance(end.__context__, KeyboardInterrupt):
            say(f"\nstopped at once, nothing more was saved. Go on with:\n  {resume_line(context)}")
            return STOPPED_AT_ONCE
        raise
    except (RuntimeError, MemoryError) as error:  # every stage was tried; figures, the optimiser or others took more
        stage = context.model.stage
        if stage is None or not is_out_of_memory(error):
            raise
        raise StageError(out_of_memory_message(stage, context.stages, processes=context.trainer.world_size)) from error
    say(farewell(context, seconds=time.monotonic() - start))
    return DONE
