"""Puts links to foreign files where the harness writes the next test's input, and reads through links itself."""

import contextlib
import os

numbers, path = input(), input()
for name in ("/tmp/input", "/tmp/program.py", "/tmp/link"):
    with contextlib.suppress(OSError):
        os.unlink(name)
    os.symlink(path, name)
    with contextlib.suppress(OSError):
        print("read", open(name).read())
with contextlib.suppress(OSError):
    os.link(path, "/tmp/hard")
    print("linked")
print(sum(map(int, numbers.split())))
