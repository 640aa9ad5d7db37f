"""The unconfined process that an estimator runs in: how it is started, measured and ended."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from sveb.common.child_process import Child, how_it_ended
from sveb.common.errors import SvebError
from sveb.common.processor import numpy_threads
from sveb.harness.wire import Channel

LIMIT = 2**28  # bytes of one message from the estimator: predictions and questions are far smaller
HEADER_LIMIT = 2**20  # bytes of its JSON part, which takes many times its size as Python objects
_ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
GRACE_S = 10.0


class Worker:
    """A fresh process in a scratch folder of its own, with one socket and a cleaned environment.

    Its standard output goes to this process's standard error. Leaving the context ends it and all that it started.
    `module` is what the process runs.
    """

    def __init__(self, module: str = "sveb.harness.worker") -> None:
        self._module = module

    def __enter__(self) -> Worker:
        self._scratch = tempfile.TemporaryDirectory(prefix="sveb-", ignore_cleanup_errors=True)
        environment = numpy_threads() | {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # Sets of strings iterate in an order that depends on the hash seed; results must not depend on it.
        environment |= {"PYTHONHASHSEED": "0", "TMPDIR": self._scratch.name}
        self._child = Child(self._module, environment=environment, folder=Path(self._scratch.name))
        self.channel = Channel(self._child.socket, LIMIT, HEADER_LIMIT)
        return self

    def path(self, file: Path) -> str:
        """Where the process finds the estimator's file."""
        return str(file)

    def finish(self) -> int:
        """Lets the process end and gives the most memory, in bytes, that it has held."""
        # rusage is the last resort: Linux starts ru_maxrss at what the parent held before exec.
        peak = self._child.peak_bytes
        self.channel.send("end")
        self.channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(GRACE_S)
        self._child.end()
        return peak or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    def death(self) -> SvebError:
        """The error for a process that closed its channel before it had answered."""
        try:
            code = self._child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return closed()
        return ended(code)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.end()
        self._scratch.cleanup()


def closed() -> SvebError:
    """The process lives but has closed its channel."""
    return SvebError("the estimator's process closed its channel: its code must leave file descriptors alone")


def ended(code: int) -> SvebError:
    """The process has ended with exit code `code`, -n for signal n, before its work was done."""
    what = how_it_ended(code)
    hint = ": often the machine has run out of memory" if what.endswith("SIGKILL") else ""
    return SvebError(f"the estimator's process {what} before it had answered{hint}")
