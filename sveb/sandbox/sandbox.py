"""A running sandbox: how it is started, tested, watched and ended."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from sveb.common.errors import SvebError
from sveb.sandbox.bwrap import Confinement, arguments
from sveb.sandbox.foreign_output import Relay
from sveb.sandbox.inside import receive, send
from sveb.sandbox.limits import Limits
from sveb.sandbox.process_watch import Watch, require_children_files
from sveb.sandbox.seccomp import program

_START_S = 30.0
_FIX = (
    "nothing was run. bubblewrap needs user namespaces: where the system forbids them (sysctl "
    "kernel.unprivileged_userns_clone, user.max_user_namespaces, Ubuntu's AppArmor, a container's seccomp profile) "
    "allow them, or run trusted code with --no-sandbox"
)


class Sandbox:
    """A context manager. Entering starts the probes, then the command if all pass. Leaving ends all processes.

    `channel` is this side of the only socket that the command has. Raises SvebError if anything is wrong; then the
    command never runs.
    """

    def __init__(self, confinement: Confinement, stream: TextIO | None = None) -> None:
        self.confinement = confinement
        self._stream = stream or sys.stderr
        self._watch: Watch | None = None

    def __enter__(self) -> Sandbox:
        self.channel, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo:
            undo.callback(self.channel.close)
            with theirs:
                self._start(theirs)
            undo.callback(self.end)
            self._probe()
            # Watched only from here on: the processes of the probes do not count as use by the command.
            self._watch = Watch(self._process.pid, self.confinement.limits, self._kill)
            send(self.channel, {})
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()
        self.end()

    @property
    def verdict(self) -> str | None:
        """The limit that it exceeded and was ended for, or None."""
        return None if self._watch is None else self._watch.verdict

    @property
    def peak_bytes(self) -> int:
        """The peak memory in bytes: of all processes together, or of a single one if that is larger."""
        if self._watch is None:
            return 0
        self._watch.look()
        return self._watch.peak_bytes

    def wait(self, timeout: float) -> int:
        """The command's exit code, 128 + n for signal n. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def end(self) -> None:
        """Kills every process of the sandbox, waits for them and reads the rest of their output."""
        if self._watch is not None:
            self._watch.stop()
        self._kill()
        self._process.wait()
        self._relay.join(5)

    def _kill(self) -> None:
        # The kernel ends a process namespace with its first process, which dies with the bubblewrap killed here.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _start(self, theirs: socket.socket) -> None:
        require_children_files()
        with tempfile.TemporaryFile() as filter_, contextlib.ExitStack() as undo:
            filter_.write(program())
            filter_.seek(0)
            command = arguments(self.confinement, theirs.fileno(), filter_.fileno())
            reading, writing = os.pipe()
            undo.callback(os.close, writing)
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    pass_fds=[theirs.fileno(), filter_.fileno()],
                    env={},  # bubblewrap's own environment can be read inside, in /proc/1/environ
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                os.close(reading)
                raise SvebError(f"the sandbox could not be started ({error}): {_FIX}") from None
        self._relay = Relay(reading, self.confinement.limits.output_bytes, self._stream)

    def _probe(self) -> None:
        self.channel.settimeout(_START_S)
        try:
            with _listeners() as (port, abstract):
                send(self.channel, self._questions(port, abstract))
                found = receive(self.channel)
            broken = {name: what for name, what in found.items() if what}
            if broken:
                what = "; ".join(f"{name}: {what}" for name, what in broken.items())
                raise SvebError(f"the sandbox is not safe on this machine, so nothing was run: {what}")
        except (OSError, ValueError, AttributeError) as error:
            self.end()
            said = self._relay.text.strip().splitlines()
            raise SvebError(f"the sandbox could not be started ({said[-1] if said else error}): {_FIX}") from None
        self.channel.settimeout(None)

    def _questions(self, port: int, abstract: str) -> dict[str, Any]:
        limits = self.confinement.limits
        return {
            "secrets": [str(path.resolve()) for path in self.confinement.secrets],
            "homes": _homes(),
            "port": port,
            "abstract": abstract,
            "processes": limits.processes,
            "memory_bytes": limits.memory_bytes,
            "scratch_bytes": limits.scratch_bytes,
            "limits": _resource_limits(limits),
        }


def _resource_limits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CPU": int(limits.cpu_s) + 1,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_FSIZE": limits.scratch_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }


def _homes() -> list[str]:
    """Folders with users' files: this user's home (by account and by environment), and the usual places of homes."""
    homes = {"/root", "/home", os.environ.get("HOME", "/root")}
    with contextlib.suppress(KeyError):  # a user without an account
        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    return sorted(homes - {"/"})


@contextlib.contextmanager
def _listeners() -> Iterator[tuple[int, str]]:
    """A loopback port and an abstract socket that answer. Connections from here prove that they do."""
    name = f"sveb-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0" + name)
        unix.listen()
        port = inet.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect("\0" + name)
        yield port, name
