"""``fit``: trains all stages and prints where the results are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_only

from callbacks.checkpoints.save_on_signal import SaveOnSignal
from callbacks.distributed.exit_codes import DONE, INTERRUPTED, STOPPED_AT_ONCE
from callbacks.errors import InterruptedRunError, StageError
from callbacks.training.memory_check import is_out_of_memory, out_of_memory_message
from callbacks.visualization.loggers import finish_logs
from datamodules.errors import LoaderTimeoutError
from experiments.cli.errors import is_mistake
from experiments.cli.signals import set_resume_command
from experiments.commands.heap import keep_heap
from experiments.commands.speed_settings import settings_line
from experiments.runs.checkpoint import LoadedCheckpoint
from experiments.runs.context import RunContext
from experiments.runs.folder import relative_to_here
from experiments.runs.summary import nothing_to_resume, resume_command, summarize
from lightning_modules.typed_trainer import typed


def run(context: RunContext) -> int:
    """Trains from the start, or resumes from the checkpoint.

    Returns:
        0 done, 75 stopped and resumable, 130 stopped at once by a second Ctrl-C.
    """
    checkpoint, trainer = context.checkpoint, context.trainer
    print_once = rank_zero_only(print)
    if checkpoint is not None and _is_finished(checkpoint, trainer):
        print_once(nothing_to_resume(context, checkpoint))
        return DONE
    if checkpoint is not None:
        print_once(f"resuming {relative_to_here(context.folder.path)} after epoch {checkpoint.epochs_done}")
    with _removed_if_refused(context):
        return _fit(context)


def _fit(context: RunContext) -> int:
    checkpoint, trainer = context.checkpoint, context.trainer
    print_once = rank_zero_only(print)
    start = time.monotonic()
    set_resume_command(lambda: resume_command(context))
    context.datamodule.planned = context.stages
    keeps_heap = trainer.strategy.root_device.type == "cpu" and keep_heap()
    print_once(settings_line(trainer, context.model, context.datamodule, keeps_heap=keeps_heap))
    try:
        trainer.fit(
            context.model,
            datamodule=context.datamodule,
            ckpt_path=str(checkpoint.path) if checkpoint else None,
            weights_only=True,
        )
    except InterruptedRunError as stop:
        print_once(f"\n{stop}. Continue with:\n  {resume_command(context)}")
        return INTERRUPTED
    except LoaderTimeoutError as error:
        stopper = next(one for one in typed(trainer).callbacks if isinstance(one, SaveOnSignal))
        if not stopper.stops_alone:
            raise
        saved = f"saved as {stopper.checkpoint.last}" if stopper.saved else "nothing more was saved"
        print_once(
            f"\nstopped at step {trainer.global_step}, {saved}: {error}. Continue with:\n  {resume_command(context)}"
        )
        return INTERRUPTED
    except SystemExit as end:  # how Lightning answers KeyboardInterrupt
        if isinstance(end.__context__, KeyboardInterrupt):
            print_once(f"\nstopped at once, nothing more was saved. Continue with:\n  {resume_command(context)}")
            return STOPPED_AT_ONCE
        raise
    except (RuntimeError, MemoryError) as error:  # the dry run passed: figures, the optimizer or others needed more
        stage = context.model.stage
        if stage is None or not is_out_of_memory(error):
            raise
        raise StageError(out_of_memory_message(stage, context.stages, processes=trainer.world_size)) from error
    finish_logs(trainer)
    print_once(summarize(context, seconds=time.monotonic() - start))
    return DONE


@contextmanager
def _removed_if_refused(context: RunContext) -> Iterator[None]:
    """Removes what a new run wrote into its folder if it is refused before its first step.

    Nothing else is removed: the folder may hold files of an earlier run of this name.
    """
    folder, trainer = context.folder, context.trainer
    earlier = set(folder.path.rglob("*"))
    try:
        yield
    except Exception as error:
        if is_mistake(error) and trainer.is_global_zero and trainer.global_step == 0 and context.checkpoint is None:
            folder.remove_new(earlier)
        raise


def _is_finished(checkpoint: LoadedCheckpoint, trainer: Trainer) -> bool:
    return 0 <= (trainer.max_epochs or 0) <= checkpoint.epochs_done or 0 <= trainer.max_steps <= checkpoint.steps_done
