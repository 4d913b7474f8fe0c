"""Runs a command and turns expected errors into one line and an exit code."""

import sys
from contextlib import ExitStack

from lightning.pytorch.utilities import rank_zero_only

from callbacks.distributed.error_files import launcher_pid, program_name
from callbacks.distributed.error_report import record_error
from callbacks.distributed.exit_codes import FAILURE, MISTAKE
from experiments.cli.arguments import Arguments
from experiments.cli.errors import describe_error, is_mistake
from experiments.cli.log_filter import filter_logs
from experiments.cli.parser import build_context
from experiments.cli.plan import make_plan
from experiments.cli.signals import writes_files
from experiments.commands.table import COMMANDS


def run_command(arguments: Arguments) -> int:
    """Runs the command; unexpected errors are raised with their traceback.

    Returns:
        Exit code: 0 done, 1 failure, 2 user's mistake, 75 stopped and resumable, 130 stopped by a second Ctrl-C.
    """
    if arguments.command != "fit":
        writes_files()
    try:
        with filter_logs(), ExitStack() as locks:
            return COMMANDS[arguments.command].run(build_context(make_plan(arguments, locks)))
    except SystemExit as end:  # jsonargparse ends --print_config and --help this way
        return int(end.code or 0)
    except Exception as error:
        message = describe_error(error)
        record_error(error, rank=getattr(rank_zero_only, "rank", 0), message=message)
        if message is None:
            raise
        if launcher_pid() is None:  # otherwise the launcher prints the first error of all ranks
            print(f"{program_name()}: {message}", file=sys.stderr)
        return MISTAKE if is_mistake(error) else FAILURE
