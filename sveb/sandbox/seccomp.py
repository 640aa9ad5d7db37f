"""A filter of system calls. It denies calls that bypass the memory limits, and calls that expose more kernel code.

A file from memfd_create, a System V segment or a message queue is not part of the resident memory of any process, nor
of a file system with a size limit. bubblewrap takes the filter as a classic BPF program (man 2 seccomp).
"""

from __future__ import annotations

import errno
import platform
import struct

from sveb.common.errors import SvebError

# machine: (AUDIT_ARCH, numbers of the calls), from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h).
_DENIED = {
    "x86_64": (
        0xC000003E,
        {
            "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "mq_open": 240, "add_key": 248,
            "request_key": 249, "keyctl": 250, "perf_event_open": 298, "process_vm_readv": 310,
            "process_vm_writev": 311, "memfd_create": 319, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "ptrace": 117, "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "add_key": 217,
            "request_key": 218, "keyctl": 219, "perf_event_open": 241, "process_vm_readv": 270,
            "process_vm_writev": 271, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
}  # fmt: skip

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_X32 = 0x40000000  # the same calls under other numbers


def program(machine: str | None = None) -> bytes:
    """The filter for `machine` (default: this one). A denied call fails with EPERM; a foreign ABI kills the process.

    Raises SvebError for a machine whose system call numbers are not listed here.
    """
    machine = machine or platform.machine()
    if machine not in _DENIED:
        raise SvebError(
            f"the sandbox does not support {machine} machines: expected one of {', '.join(_DENIED)}; "
            "run trusted code with --no-sandbox"
        )
    architecture, calls = _DENIED[machine]
    numbers = sorted(calls.values())
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, len(numbers) + 1, 0, _X32)]
    steps += [(_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
