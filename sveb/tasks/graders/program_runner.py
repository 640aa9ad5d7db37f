"""Inside the sandbox: runs one program on one input after another, each time in a process of its own.

    python -P -S -B runner.py FD     FD: the socket to the harness; messages of sandbox/inside.py

    harness: {"code": text, "cpu_s": int, "wall_s": float, "output_bytes": int}
    harness: {"input": text}   here: {"ended": "" or what went wrong, "bytes": n}, then n bytes of standard output

The program may kill or change this process: it runs as the same user. All that it could gain is to say another
output, as it can anyway; the expected ones never come here, and the harness watches time and memory from outside.
It imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import site
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

from sveb.sandbox.inside import receive, send

_SCRATCH = ("/tmp", "/dev/shm")
_PROGRAM, _INPUT = "/tmp/program.py", "/tmp/input"
_MESSAGE_BYTES = 2**28
_CHUNK = 65536


def main(descriptor: int) -> types.CodeType | None:
    """Serves the harness; in the process of a test: the code to run."""
    sock = socket.socket(fileno=descriptor)
    job = receive(sock, _MESSAGE_BYTES)
    try:
        code = compile(job["code"], _PROGRAM, "exec", dont_inherit=True)
    except Exception as error:  # a syntax error, or too deep for the compiler
        receive(sock, _MESSAGE_BYTES)
        send(sock, {"ended": f"it does not compile ({type(error).__name__})", "bytes": 0})
        return None
    while True:
        try:
            test = receive(sock, _MESSAGE_BYTES)
        except OSError:
            return None
        _empty()
        Path(_PROGRAM).write_text(job["code"], encoding="utf-8", errors="replace")
        Path(_INPUT).write_text(test["input"], encoding="utf-8", errors="replace", newline="")
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(writing, int(job["cpu_s"]))
            return code
        os.close(writing)
        ended, output = _watch(pid, reading, float(job["wall_s"]), int(job["output_bytes"]))
        os.close(reading)
        send(sock, {"ended": ended, "bytes": len(output)})
        sock.sendall(output)


def _empty() -> None:
    """Each test finds the scratch folders empty, unless an earlier one has locked its program out of them."""
    for folder in _SCRATCH:
        for path in Path(folder).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _become(writing: int, cpu_s: int) -> None:
    """Makes this process one that has just been started to run the program."""
    os.dup2(os.open(_INPUT, os.O_RDONLY), 0)
    os.dup2(writing, 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - descriptors
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    os.chdir("/tmp")
    sys.argv, sys.path[0] = [_PROGRAM], "/tmp"
    site.setquit()


def _watch(pid: int, reading: int, wall_s: float, most: int) -> tuple[str, bytes]:
    """What went wrong, if anything, and what was printed until the program ended: what it left behind prints late."""
    deadline = time.monotonic() + wall_s
    ending = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(ending, select.POLLIN)
    output, fault, over = bytearray(), "", False
    while not over and not fault:
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if not ready:
            fault = f"ran for more than {wall_s:g} s"
        elif ending in ready:
            over = True
        elif not _read(reading, output):
            poll.unregister(reading)
        if len(output) > most:
            fault = f"printed more than {most} bytes"
    os.close(ending)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)  # all but this process and the namespace's first
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    while len(output) <= most and _read(reading, output):
        pass
    if not fault and len(output) > most:
        fault = f"printed more than {most} bytes"
    if not fault and status:
        fault = f"ended with exit code {status}" if status > 0 else f"was killed by {signal.Signals(-status).name}"
    return fault, bytes(output[:most])


def _read(descriptor: int, into: bytearray) -> int:
    part = os.read(descriptor, _CHUNK)
    into += part
    return len(part)


def _run(code: types.CodeType) -> None:
    """Runs it as `python program.py` would: its exceptions, exit code and threads are the interpreter's matter."""
    module: Any = types.ModuleType("__main__")
    module.__file__, module.__builtins__ = _PROGRAM, __builtins__
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


if __name__ == "__main__" and (program := main(int(sys.argv[1]))):
    _run(program)
