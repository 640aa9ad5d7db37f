"""A child process that runs one of SVEB's modules and shares one socket with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Child:
    """Starts `python -P -m MODULE FD ARGUMENTS...`, where FD is the child's end of `socket`.

    It reads no input. Its output goes to this process's standard error, or nowhere if it is `quiet`. It runs in its own
    session, so that Ctrl-C in a terminal reaches only the parent. Without `environment` it inherits the parent's.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        quiet: bool = False,
    ) -> None:
        self._ended = False
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if quiet else 2,
                stderr=subprocess.DEVNULL if quiet else None,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def peak_bytes(self) -> int | None:
        """The peak memory of the running process, in bytes; None if the system does not report it."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)

    def wait(self, timeout: float) -> int:
        """The exit code, -n for signal n. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def end(self) -> None:
        """Kills the process and all processes that it started, and closes the socket. May be called again."""
        if self._ended:  # another process may have its id by now
            return
        self._ended = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self.socket.close()


def how_it_ended(code: int) -> str:
    """`ended with exit code 3`, or `was killed by SIGKILL` for the exit code -9."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"
