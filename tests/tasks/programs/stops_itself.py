"""Stops itself and its family with SIGSTOP: a harness that waits for an exit code waits for ever."""

import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
