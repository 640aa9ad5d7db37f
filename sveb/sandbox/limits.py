"""Limits of confined code."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits for all processes of one sandbox together, unless stated otherwise.

    `memory_bytes` limits the resident memory (a page shared by several processes counts in each) and the address space
    of each process; files in the scratch folder are additional. `processes` counts threads. `output_bytes` is how much
    of standard output and error is shown; the rest is dropped.
    """

    wall_s: float = 7200.0
    cpu_s: float = 7200.0
    memory_bytes: int = 4096 * _MIB
    processes: int = 32
    scratch_bytes: int = 256 * _MIB
    output_bytes: int = _MIB // 4
    open_files: int = 256
