"""How long a user waits: `sveb --help` over a bare Python start, and `sveb eval` of a trivial estimator."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import report

RUNS = 7


def seconds(*command: str, folder: str | None = None) -> float:
    """Wall time of one command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - began


def main() -> None:
    """Runs the bench."""
    bare = [seconds(sys.executable, "-c", "pass") for _ in range(RUNS)]
    help_ = [seconds(sys.executable, "-m", "sveb.cli", "--help") for _ in range(RUNS)]
    example = str(Path("examples/my_estimator.py").resolve())
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sveb.cli", "eval", example]
        first = seconds(*command, folder=folder)
        again = [seconds(*command, folder=folder) for _ in range(3)]
    report(
        "start",
        {
            "sveb_help_s": round(statistics.median(help_), 3),
            "sveb_help_over_bare_python": round(statistics.median(help_) / statistics.median(bare), 1),
            "eval_with_all_baselines_computed_s": round(first, 2),
            "eval_with_baselines_kept_s": round(statistics.median(again), 2),
        },
    )


if __name__ == "__main__":
    main()
