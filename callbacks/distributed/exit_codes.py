"""The signals that stop a run, and the exit codes of the program. Imports nothing slow."""

import signal

#: Signals that a user, a scheduler or a time limit sends to stop a run.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
#: Done; a failure; a user's mistake; stopped, saved and resumable; stopped at once by a second Ctrl-C.
DONE, FAILURE, MISTAKE, INTERRUPTED, STOPPED_AT_ONCE = 0, 1, 2, 75, 130
