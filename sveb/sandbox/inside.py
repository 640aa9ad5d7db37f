"""The first process of a sandbox: sets its own limits, tests the confinement, and becomes the confined command.

    python -P -S inside.py FD command...     FD: the socket to the harness, which the command inherits

    message = length (uint32, little endian) | JSON
    harness: questions   inside: {probe: what was possible, "" if it was blocked}   harness: {} to continue

It imports only the standard library and runs before any foreign code. After `exec` nothing of it remains.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

_LENGTH = struct.Struct("<I")
_CLONE_NEWUSER = 0x10000000


def send(sock: socket.socket, value: Any) -> None:
    """One message."""
    body = json.dumps(value).encode()
    sock.sendall(_LENGTH.pack(len(body)) + body)


def receive(sock: socket.socket, most: int = 2**16) -> Any:
    """The next message. Raises OSError if the other side is gone or sends more than `most` bytes."""
    (length,) = _LENGTH.unpack(read(sock, _LENGTH.size))
    if length > most:
        raise OSError(f"a message of {length} bytes")
    return json.loads(read(sock, length))


def read(sock: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises ConnectionResetError if the other side closes before that."""
    parts = b""
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("the other side closed the socket")
        parts += part
    return parts


def limit(limits: dict[str, int]) -> None:
    """Sets resource limits of this process and its descendants; they can only be lowered afterwards."""
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, name), (most, most))


def _secrets(paths: list[str]) -> str:
    for path in paths:
        for way in (path, f"/proc/self/root{path}", f"/proc/1/root{path}"):
            try:
                with Path(way).open("rb") as stream:
                    stream.read(1)
            except OSError:
                continue
            return f"{way} can be read"
    return ""


def _homes(homes: list[str]) -> str:
    for home in homes:
        try:
            entries = os.listdir(home)  # noqa: PTH208 - only the names are needed
        except OSError:
            continue
        if entries:
            return f"{home} can be listed ({', '.join(sorted(entries)[:3])})"
    return ""


def _network(port: int, abstract: str) -> str:
    with socket.socket(socket.AF_INET) as sock:
        sock.settimeout(2)
        if sock.connect_ex(("127.0.0.1", port)) == 0:
            return f"the harness's port {port} on the loopback answers"
    with socket.socket(socket.AF_UNIX) as sock:
        if sock.connect_ex("\0" + abstract) == 0:
            return "the harness's abstract socket answers"
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    return f"there are network interfaces: {', '.join(others)}" if others else ""


def _namespaces() -> str:
    # A process with several threads could not create one in any case: this one has a single thread.
    pid = os.fork()
    if pid == 0:
        os._exit(1 if ctypes.CDLL(None).unshare(_CLONE_NEWUSER) == 0 else 0)
    return "a nested user namespace can be created" if os.waitpid(pid, 0)[1] else ""


def _processes(most: int) -> str:
    pids: list[int] = []
    try:
        while len(pids) < most:
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            pids.append(pid)
    except OSError:
        return ""
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    return f"{most} processes could be started next to this one, the limit is {most}"


def _memory(most: int) -> str:
    try:
        mmap.mmap(-1, most).close()
    except OSError:
        return ""
    return f"{most} bytes of memory could be mapped next to what is in use, the limit is {most}"


def _disk(most: int) -> str:
    for folder in ("/", "/dev", "/usr", str(Path(__file__).parent)):
        try:
            (Path(folder) / "probe").touch()
        except OSError:
            continue
        return f"{folder} can be written"
    for folder in ("/tmp", "/dev/shm"):
        size = os.statvfs(folder)
        if not 0 < size.f_blocks * size.f_frsize <= most:
            return f"{folder} holds {size.f_blocks * size.f_frsize} bytes, the limit is {most}"
    return ""


def _rights() -> str:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
    if held:
        return f"capabilities are held ({', '.join(held)})"
    if status["NoNewPrivs"].strip() != "1" or status["Seccomp"].strip() != "2":
        return "privileges can be gained or system calls are not filtered"
    return "" if os.getuid() == 65534 == os.getgid() else f"it runs as user {os.getuid()}, group {os.getgid()}"


def _descriptors(channel: int) -> str:
    with os.scandir("/proc/self/fd") as entries:
        held = {entry.name: os.readlink(entry.path) for entry in entries}  # noqa: PTH115 - a link to no path
    extra = {
        name: target
        for name, target in held.items()
        if int(name) > 2 and int(name) != channel and not target.startswith("/proc/")
    }
    return f"files were inherited: {', '.join(extra.values())}" if extra else ""


def probe(questions: dict[str, Any], channel: int) -> dict[str, str]:
    """Tests each restriction: what was possible, or "" if it was blocked."""
    return {
        "truth": _secrets(questions["secrets"]),
        "home": _homes(questions["homes"]),
        "network": _network(questions["port"], questions["abstract"]),
        "namespaces": _namespaces(),
        "processes": _processes(questions["processes"]),
        "memory": _memory(questions["memory_bytes"]),
        "disk": _disk(questions["scratch_bytes"]),
        "rights": _rights(),
        "descriptors": _descriptors(channel),
    }


def main(descriptor: int, command: list[str]) -> None:
    """Runs the probes, reports, waits for permission, and becomes `command` with the descriptor as last argument."""
    sock = socket.socket(fileno=descriptor)
    questions = receive(sock)
    limit(questions["limits"])
    send(sock, probe(questions, descriptor))
    receive(sock)
    sock.detach()
    os.execv(command[0], [*command, str(descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
