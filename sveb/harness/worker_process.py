"""The child process that an estimator runs in: how it is started, measured and ended."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from sveb.common.errors import SvebError
from sveb.harness.wire import Channel

LIMIT = 2**28  # bytes of one message from the estimator: predictions and questions are far smaller
HEADER_LIMIT = 2**20  # of which JSON: as Python objects it takes many times its size
_ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
GRACE_S = 10.0


class Worker:
    """A fresh process in a scratch folder of its own, with one socket and a cleaned environment.

    Its standard output goes to this process's standard error. Leaving the context ends it, and all that it started.
    `module` is what the process runs.
    """

    def __init__(self, module: str = "sveb.harness.worker") -> None:
        self._module = module

    def __enter__(self) -> Worker:
        self._scratch = tempfile.TemporaryDirectory(prefix="sveb-", ignore_cleanup_errors=True)
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # Sets of strings iterate in an order that depends on this: results must not.
        environment |= {"PYTHONHASHSEED": "0", "TMPDIR": self._scratch.name}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd=self._scratch.name,
                start_new_session=True,
            )
        self.channel = Channel(ours, LIMIT, HEADER_LIMIT)
        return self

    def path(self, file: Path) -> str:
        """Where the process finds the estimator's file."""
        return str(file)

    def finish(self) -> int:
        """Lets the process end and gives the most memory, in bytes, that it has held."""
        # Not rusage where it can be helped: Linux starts ru_maxrss at what the parent held before exec.
        peak = _high_water_mark(self._process.pid)
        self.channel.send("end")
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        self._kill()
        self._process.wait()
        return peak or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    def death(self) -> SvebError:
        """What to say when the process closed its channel before it had answered."""
        try:
            code = self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return closed()
        return ended(code)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()
        self._kill()
        self._process.wait()
        self._scratch.cleanup()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def closed() -> SvebError:
    """The process lives but has closed its channel."""
    return SvebError("the estimator's process closed its channel: its code must leave file descriptors alone")


def ended(code: int) -> SvebError:
    """The process has ended with exit code `code`, -n for signal n, before its work was done."""
    if code >= 0:
        return SvebError(f"the estimator's process ended with exit code {code} before it had answered")
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has no name of its own
        name = f"signal {-code}"
    hint = ": often the machine has run out of memory" if name == "SIGKILL" else ""
    return SvebError(f"the estimator's process was killed by {name} before it had answered{hint}")


def _high_water_mark(pid: int) -> int | None:
    """VmHWM of a live process in bytes, where the system tells it."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
