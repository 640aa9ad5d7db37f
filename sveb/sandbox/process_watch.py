"""Watches a sandbox's processes from outside and ends them if they exceed their common limits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.sandbox.limits import Limits

_PERIOD_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Use:
    """What a tree of processes has used: CPU seconds, resident bytes now, and the peak bytes of a single process."""

    cpu_s: float
    resident_bytes: int
    peak_bytes: int


def require_children_files() -> None:
    """Raises SvebError if the kernel does not list a process's children."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():
        raise SvebError(
            "the sandbox cannot watch its processes: this kernel was built without CONFIG_PROC_CHILDREN "
            "(/proc/PID/task/TID/children); use another kernel, or run trusted code with --no-sandbox"
        )


def tree(root: int) -> list[int]:
    """`root` and all its descendants. Orphans become children of the namespace's first process, so none is missed."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:  # it ended while we looked
            continue
    return found


def use(root: int) -> Use:
    """What the tree under `root` uses now. A process that ends during the count is counted in its parent."""
    cpu, resident, peak = 0, 0, 0
    for pid in tree(root):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        # utime, stime, cutime, cstime: fields 14 to 17; the second field is any text in parentheses.
        cpu += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
        sizes = {line.split(":")[0]: line for line in status.splitlines() if line.startswith(("Rss", "VmHWM"))}
        resident += sum(_bytes(sizes[name]) for name in ("RssAnon", "RssShmem") if name in sizes)
        peak = max(peak, _bytes(sizes["VmHWM"]) if "VmHWM" in sizes else 0)
    return Use(cpu / _TICKS, resident, peak)


def _bytes(line: str) -> int:
    return int(line.split()[1]) * 1024


class Watch:
    """Checks every 50 ms and calls `end` once if a limit is exceeded. `verdict` then names the limit."""

    def __init__(self, root: int, limits: Limits, end: Callable[[], None]) -> None:
        self._root, self._limits, self._end = root, limits, end
        self.verdict: str | None = None
        self.peak_bytes = 0
        self._stopped = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the watch. Call it before waiting for the root process: after that, its process id may be reused."""
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Measures once and updates the peak."""
        now, limits = use(self._root), self._limits
        self.peak_bytes = max(self.peak_bytes, now.resident_bytes, now.peak_bytes)
        if time.monotonic() - self._started > limits.wall_s:
            self.verdict = f"ran for more than {limits.wall_s:g} s"
        elif now.cpu_s > limits.cpu_s:
            self.verdict = f"used more than {limits.cpu_s:g} s of CPU time"
        elif now.resident_bytes > limits.memory_bytes:
            self.verdict = f"held more than {limits.memory_bytes // _MIB} MiB of memory"

    def _run(self) -> None:
        while not self._stopped.wait(_PERIOD_S):
            self.look()
            if self.verdict is not None:
                self._end()
                return
