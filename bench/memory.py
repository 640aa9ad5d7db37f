"""Peak memory of `sveb generate`: at one and at eight times the states, and with one and with two engine processes.

Each is the whole command with the real vLLM. The memory is what the command and its engine processes hold together,
with each shared page counted once (PSS). It must not grow with the states.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.kill import engine_processes
from bench.report import report
from sveb.suite.suite import Suite

PROBLEMS = 3


def held(pid: int) -> int:
    """Bytes that a process holds, 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def generate(problems: int, workers: int, out: Path) -> dict[str, Any]:
    """Peak memory of a generation, and how much it made."""
    command = [sys.executable, "-m", "sveb.cli", "generate", "--model", "nano", "--size", "demo", "--engine", "vllm"]
    counts = ["--test-problems", problems, "--train-problems", problems, "--workers", workers, "--out", out]
    process = subprocess.Popen([*command, *map(str, counts)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, held(process.pid) + sum(map(held, engine_processes(process.pid))))
        time.sleep(0.2)
    assert process.returncode == 0, f"sveb generate ended with {process.returncode}"
    statistics = Suite.open(out).manifest.statistics
    return {
        "states": sum(statistics["states"].values()),
        "truth_continuations": statistics["continuations"],
        "peak_mb": round(peak / 2**20),
    }


def main() -> None:
    """Runs the bench."""
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            f"x{times}, {workers} engine process{'es' if workers > 1 else ''}": generate(
                times * PROBLEMS, workers, Path(folder) / f"x{times}-{workers}"
            )
            for workers in (1, 2)
            for times in (1, 8)
        }
    report("memory", figures)


if __name__ == "__main__":
    main()
