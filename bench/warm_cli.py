"""`sveb` started again and again out of one process that has imported what is heavy: seconds less a start.

Run as a script it is that process: it reads orders from stdin, forks a child that runs the command line, and tells its
pid. What a child does is what `sveb` does; only the imports are shared.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TRANSFORMERS = (
    "sveb.policies.transformers_engine", "sveb.generate.pipeline", "sveb.evaluation", "sveb.publication", "mlcroissant",
    "pandas",
)  # fmt: skip
VLLM = ("vllm", "vllm.entrypoints.llm", "vllm.v1.engine.llm_engine", "sveb.policies.vllm_engine", *TRANSFORMERS)


@dataclass(frozen=True)
class Run:
    """One `sveb` under way, in a process group of its own; its output goes to `log`."""

    pid: int
    log: Path
    server: WarmCli

    def kill(self, signal: int) -> None:
        """Sends a signal to the process alone."""
        os.kill(self.pid, signal)

    def interrupt(self, signal: int) -> None:
        """Sends a signal to the whole group, as a terminal does."""
        os.killpg(self.pid, signal)

    def running(self) -> bool:
        """Whether it still runs. A finished one is a zombie until `wait`."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"

    def wait_until(self, happened: Callable[[], object], timeout_s: float = 600, pause_s: float = 0.002) -> bool:
        """Whether `happened` came true while the process ran."""
        end = time.monotonic() + timeout_s
        while self.running() and time.monotonic() < end:
            if happened():
                return True
            time.sleep(pause_s)
        return bool(happened())

    def wait(self) -> int:
        """The exit code, or minus the signal that ended it."""
        return int(self.server.ask({"wait": self.pid}))

    def said(self) -> str:
        """Its output so far."""
        return self.log.read_text() if self.log.exists() else ""


class WarmCli:
    """The warm process. `wrapper` is put before its command line (bwrap and the like)."""

    def __init__(self, imports: Sequence[str], wrapper: Sequence[str] = ()) -> None:
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, __file__, *imports],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "500", "NO_COLOR": "1", "TERM": "dumb"},
        )  # fmt: skip
        # Not that of `wrapper`: the way into its file system is /proc/PID/root.
        self.pid = int(self.ask({"pid": None}))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()  # at the end of its orders it ends

    def ask(self, order: dict[str, Any]) -> Any:
        """The answer to one order."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(
        self,
        arguments: Sequence[object],
        log: Path,
        before: str = "",
        *,
        folder: Path | None = None,
        errors: Path | None = None,
    ) -> Run:
        """Starts `sveb ARGUMENTS` in `folder`; `before` is Python that the process runs first, to place a fault.

        Standard error goes to the file `errors`, else to `log`.
        """
        order = {"log": str(log), "errors": str(errors or log), "before": before, "folder": str(folder or ".")}
        pid = self.ask({"run": [str(argument) for argument in arguments], **order})
        return Run(pid, log, self)


def _serve() -> None:
    import importlib

    for name in sys.argv[1:]:
        importlib.import_module(name)
    importlib.import_module("sveb.cli")
    gc.freeze()  # a child that collected what is shared would copy all of it
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif "pid" in order:
            answer = os.getpid()
        elif (answer := os.fork()) == 0:
            _become(order)
            return
        print(json.dumps(answer), flush=True)


def _become(order: dict[str, Any]) -> None:
    os.setpgid(0, 0)
    log, errors = (os.open(order[name], os.O_CREAT | os.O_WRONLY | os.O_APPEND) for name in ("log", "errors"))
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((null, 0), (log, 1), (errors, 2)):
        os.dup2(descriptor, target)
    os.chdir(order["folder"])
    sys.argv = ["sveb", *order["run"]]
    exec(order["before"], {})
    from sveb.cli import main

    main()


if __name__ == "__main__":
    _serve()
