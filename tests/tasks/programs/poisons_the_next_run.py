"""Leaves modules behind, and a process that kills whatever starts after it: the next test must not meet either."""

import contextlib
import os
import time

numbers = input()
for name in ("sitecustomize", "random", "os"):
    assert not os.path.exists(f"/tmp/{name}.py"), "the last test is still here"
    with open(f"/tmp/{name}.py", "w") as stream:
        stream.write("raise SystemExit(1)")
print(sum(map(int, numbers.split())), flush=True)
if os.fork() == 0:
    os.setsid()
    while True:
        for number in range(os.getpid() + 1, os.getpid() + 100):
            with contextlib.suppress(OSError):
                os.kill(number, 9)
        time.sleep(0.001)
