"""Leaves with exit code 0 before anything is printed: success is what it says, not how it ends."""

import os

print(sum(map(int, input().split())))
os._exit(0)
