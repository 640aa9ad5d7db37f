"""Asks for 300 MB in each of eight children: no process is above its limit, all together are."""

import os
import time

for _ in range(8):
    if os.fork() == 0:
        memory = bytearray(b"x") * 300_000_000
        time.sleep(10_000)
print(sum(map(int, input().split())), flush=True)
time.sleep(10_000)
