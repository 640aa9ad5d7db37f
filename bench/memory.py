"""Peak memory of `sveb generate` at one and at eight times the states: it must not grow with them.

Both are the whole command in a process of its own, with the real vLLM, whose cache is made as small as it goes so that
it hides little.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.report import report
from sveb.suite.suite import Suite

PROBLEMS = 3


def generate(problems: int, out: Path) -> dict[str, Any]:
    """Peak RSS of a generation, and how much it made."""
    command = [sys.executable, "-m", "sveb.cli", "generate", "--model", "nano", "--size", "demo", "--engine", "vllm"]
    counts = ["--test-problems", str(problems), "--train-problems", str(problems), "--out", str(out)]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *counts], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"sveb generate ended with {os.waitstatus_to_exitcode(status)}"
    statistics = Suite.open(out).manifest.statistics
    return {
        "states": sum(statistics["states"].values()),
        "truth_continuations": statistics["continuations"],
        "peak_rss_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Runs the bench."""
    with tempfile.TemporaryDirectory() as folder:
        one, eight = (generate(times * PROBLEMS, Path(folder) / f"x{times}") for times in (1, 8))
    report("memory", {"x1": one, "x8": eight, "ratio": round(eight["peak_rss_mb"] / one["peak_rss_mb"], 3)})


if __name__ == "__main__":
    main()
