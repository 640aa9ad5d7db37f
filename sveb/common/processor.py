"""The cores of this machine, and how many threads a model uses."""

from __future__ import annotations

import os
from pathlib import Path

# A smaller model does not get faster with a second thread. If another process needs the same core, it gets much slower:
# its parallel regions are so short that it mostly waits for the thread that is not running (docs/decisions.md).
_ONE_THREAD_BYTES = 200 * 2**20


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(weights: Path) -> None:
    """Makes torch compute with as many threads as suit the model in the folder `weights`: one, or one per core.

    If the user has set OMP_NUM_THREADS, that decides. Setting the variable here is too late: OpenMP reads it when torch
    is imported, and a command has imported torch before it loads a model.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        size = sum(path.stat().st_size for path in weights.glob("*.safetensors"))
        torch.set_num_threads(1 if size < _ONE_THREAD_BYTES else cores())
