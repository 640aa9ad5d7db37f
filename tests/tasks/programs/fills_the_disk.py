"""Writes until nothing is left, in every folder that takes it: the limit must come before the machine's."""

import contextlib

numbers = input()
written = 0
for folder in ("/tmp", "/dev/shm"):
    with contextlib.suppress(OSError), open(f"{folder}/full", "wb") as stream:
        while written < 2_000_000_000:
            written += stream.write(b"x" * 1_000_000)
print(sum(map(int, numbers.split())) if written < 1_000_000_000 else written)
