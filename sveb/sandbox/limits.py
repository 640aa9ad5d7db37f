"""What confined code may use."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Of all processes of one sandbox together, unless said otherwise.

    `memory_bytes` is watched as resident memory (pages that processes share count in each) and is the address space
    of each process; files in the scratch folder come on top. `processes` counts threads. `output_bytes` is how much
    of standard output and error is shown; the rest is dropped.
    """

    wall_s: float = 7200.0
    cpu_s: float = 7200.0
    memory_bytes: int = 4096 * _MIB
    processes: int = 32
    scratch_bytes: int = 256 * _MIB
    output_bytes: int = _MIB // 4
    open_files: int = 256
