"""Looks for keys and names in the environment: its own and that of every process that it can see."""

import contextlib
import glob
import os

numbers, secret = input(), input()
if secret in os.environ:
    print("own environment")
for path in glob.glob("/proc/*/environ"):
    with contextlib.suppress(OSError):
        if secret in open(path).read():
            print("found in", path)
print(sum(map(int, numbers.split())))
