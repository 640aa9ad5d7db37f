"""Uses no CPU time at all, so that only the clock can end it; ignores the polite signals."""

import signal
import time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
time.sleep(10_000)
