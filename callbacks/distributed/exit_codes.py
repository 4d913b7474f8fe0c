"""How a process is asked to end, and the code it ends with. Imports nothing slow."""

import signal

#: What a person, a scheduler or a time limit sends.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
#: Exit codes: done; a failure; a user's mistake; stopped, saved and resumable; stopped at once by a second Ctrl-C.
DONE, FAILURE, MISTAKE, INTERRUPTED, BY_FORCE = 0, 1, 2, 75, 130
