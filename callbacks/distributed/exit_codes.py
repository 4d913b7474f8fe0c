"""The signals that stop a run, and the exit codes of the program. Imports nothing slow."""

import signal

#: Signals that a user, a scheduler, a time limit or a closed terminal sends to stop a run; Windows has only two.
SIGNALS = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP") if hasattr(signal, name))
#: Done; a failure; a user's mistake; stopped, saved and resumable; stopped at once by a second Ctrl-C.
DONE, FAILURE, MISTAKE, INTERRUPTED, STOPPED_AT_ONCE = 0, 1, 2, 75, 130


def is_ignored(number: signal.Signals) -> bool:
    """Whether ``number`` stays ignored: SIGHUP under ``nohup``.

    A shell without job control starts background jobs with SIGINT ignored; a run handles it all the same.
    """
    return number.name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN
