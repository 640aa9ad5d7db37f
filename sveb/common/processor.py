"""The cores and the memory of this machine, and how many threads a model gets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# A smaller model does not get faster with a second thread: its parallel regions are too short (docs/decisions.md).
ONE_THREAD_BYTES = 200 * 2**20
_CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores that this process may use. A container's own limit counts."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = next(iter(_lines(_CGROUP / "cpu.max")), "").partition(" ")
    return min(allowed, max(1, round(int(quota) / int(period)))) if quota.isdigit() and period.isdigit() else allowed


def model_bytes(folder: Path) -> int:
    """Bytes of the safetensors files in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def set_threads(weights: Path | int) -> None:
    """Makes torch compute with the number of threads that suits the model: in this folder, or with so many bytes.

    If the user has set OMP_NUM_THREADS, that decides. Setting the variable here would be too late: OpenMP reads it when
    torch is imported.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        size = weights if isinstance(weights, int) else model_bytes(weights)
        torch.set_num_threads(1 if 0 < size < ONE_THREAD_BYTES else cores())


def numpy_threads() -> dict[str, str]:
    """The variable that makes numpy compute with one thread in a new process, where its library is OpenBLAS.

    An estimator's matrices are small: a second thread waits longer than it computes. And sums are rounded in the same
    order on any number of cores. If the user has set OMP_NUM_THREADS, that decides.
    """
    return {"OPENBLAS_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


def free_memory() -> int | None:
    """Bytes that new processes can have, None if the system does not say. A container's own limit counts."""
    free = [value for value in (_meminfo(), _cgroup()) if value is not None]
    return min(free, default=None)


def _meminfo() -> int | None:
    lines = _lines(Path("/proc/meminfo"))
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _cgroup() -> int | None:
    limit, used = (next(iter(_lines(_CGROUP / name)), "") for name in ("memory.max", "memory.current"))
    if not (limit.isdigit() and used.isdigit()):
        return None
    # Files that were read are counted as used, and given back when memory runs short.
    files = next(
        (line.split()[1] for line in _lines(_CGROUP / "memory.stat") if line.startswith("inactive_file ")), "0"
    )
    return int(limit) - int(used) + int(files)


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return ()
