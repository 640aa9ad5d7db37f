"""Tries to gain rights: a user namespace of its own, a mount, another user, a tracer, a deeper root."""

import ctypes
import os

numbers = input()
libc = ctypes.CDLL(None)
if os.fork() == 0:
    gained = [
        name
        for name, call in {
            "namespace": lambda: libc.unshare(0x10000000),
            "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
            "root": lambda: libc.setuid(0),
            "trace": lambda: libc.ptrace(16, os.getppid(), 0, 0),
            "chroot": lambda: libc.chroot(b"/tmp"),
        }.items()
        if call() == 0
    ]
    os._exit(len(gained))
print(sum(map(int, numbers.split())) + os.wait()[1])
