"""`kill -9` fifty times: what is finished stays, what was in flight is done again, and the suite is the same.

Every kill falls at a chosen moment of a chosen stage: while the engine loads, when a part has been written, while one
is being written, and while the suite's files are. In the end the killed suite must be the uninterrupted one, byte for
byte. The tests do the same with fewer kills.
"""

from __future__ import annotations

import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.report import report
from bench.warm_cli import VLLM, Run, WarmCli
from sveb.suite.suite import Suite
from sveb.suite.verify_suite import verify

STAGES = ("rollouts", "siblings", "draws", "truth")
TABLES = ("problems", "rollouts", "states", "draws", "truth")
KILLS = {"loading": 3, "rollouts": 10, "siblings": 1, "draws": 12, "truth": 18, "packaging": 6}  # in their order
SIZE = ("--test-problems", 16, "--train-problems", 10, "--continuations", 32, "--draws", 24)
SHAPE = (
    "--group", 16, "--train-group", 8, "--probes", 2, "--path-states", 8, "--sibling-parents", 2, "--siblings", 4,
    "--audit", 8,
)  # fmt: skip
# Many small parts instead of one in five seconds, so that there is much to interrupt.
OFTEN = (
    "import sveb.generate.unit_store as s, sveb.generate.grading_queue as d; s.FLUSH_SECONDS = d.FLUSH_SECONDS = 0.05"
)


def arguments(out: Path, size: Sequence[object], workers: int = 1) -> list[object]:
    """Of a small real generation."""
    model = ["--model", "nano", "--engine", "vllm", "--workers", workers]
    return ["generate", *model, "--size", "demo", *SHAPE, *size, "--out", out]


def engine_processes(pid: int) -> list[int]:
    """The engine processes that the process `pid` has started and that run."""
    with suppress(OSError):  # one of them has just ended
        found = [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [each for each in found if b"engine_process" in Path(f"/proc/{each}/cmdline").read_bytes()]
    return []


def units_of(out: Path) -> dict[str, list[tuple[str, int]]]:
    """(unit_id, chunk) of every finished unit, by stage."""
    return {
        stage: [
            (row["unit_id"], row["chunk"])
            for part in sorted((out / "work" / stage).glob("[0-9]*.parquet"))
            for row in pq.read_table(part, columns=["unit_id", "chunk"]).to_pylist()
        ]
        for stage in STAGES
    }


def moment(out: Path, stage: str, choose: random.Random) -> Callable[[], bool]:
    """Tells when to kill a run that is about to start."""
    if stage == "loading":
        end = time.monotonic() + choose.uniform(0.2, 2.0)
        return lambda: time.monotonic() > end
    if stage == "packaging":
        name = choose.choice([".*.tmp", "rollouts.parquet", "truth.parquet", "README.md", "SHA256SUMS"])
        return lambda: any(out.glob(name))
    folder = out / "work" / stage
    if choose.random() < 0.4:
        return lambda: any(folder.glob(".*.tmp"))
    wanted = len(list(folder.glob("[0-9]*"))) + choose.randint(1, 2)
    return lambda: len(list(folder.glob("[0-9]*"))) >= wanted


def kill_often(
    start: Callable[[Path], Run], out: Path, kills: dict[str, int], choose: random.Random
) -> tuple[Counter[str], list[str]]:
    """Kills runs into `out`, so often a stage, then lets one finish.

    Returns how many kills fell in each stage, and what was wrong after any of them.
    """
    fallen: Counter[str] = Counter()
    faults: list[str] = []
    for stage in (stage for stage, count in kills.items() for _ in range(count)):
        happened = moment(out, stage, choose)
        run = start(out)
        if run.wait_until(happened) and run.running():
            run.kill(signal.SIGKILL)
            fallen[stage] += 1
        elif code := run.wait():
            return fallen, [*faults, f"a run ended with {code}: {run.said()}"]
        else:
            break
        run.wait()
        for name, units in units_of(out).items():
            if len(units) != len(set(units)):
                faults.append(f"a unit stands twice in {name} after kill {fallen.total()}")
    if code := start(out).wait():
        faults.append(f"the last run ended with {code}")
    return fallen, faults


def compare(whole: Path, killed: Path) -> list[str]:
    """What is wrong with the killed suite, or differs from the uninterrupted one."""
    faults = [
        f"{fault.file} {fault.place}: {fault.wrong}" for out in (whole, killed) for fault in verify(Suite.open(out))
    ]
    if Suite.open(whole).checksum != Suite.open(killed).checksum:
        faults.append("the checksums differ")
    faults += [
        f"{name}: other bytes"
        for name in TABLES
        if (whole / f"{name}.parquet").read_bytes() != (killed / f"{name}.parquet").read_bytes()
    ]
    if (killed / "work").exists():
        faults.append("work is left over")
    return faults


def main() -> None:
    """Runs the bench."""
    with tempfile.TemporaryDirectory() as folder, WarmCli(VLLM) as warm:
        whole, killed = Path(folder) / "a" / "suite", Path(folder) / "b" / "suite"
        log = Path(folder) / "log"

        def start(out: Path) -> Run:
            return warm.start(arguments(out, SIZE), log, OFTEN)

        began = time.monotonic()
        code = start(whole).wait()
        uninterrupted = time.monotonic() - began
        assert code == 0, log.read_text()
        fallen, faults = kill_often(start, killed, KILLS, random.Random(0))
        figures: dict[str, Any] = {
            "kills": fallen.total(),
            "kills_by_stage": dict(fallen),
            "faults": faults + compare(whole, killed),
            "uninterrupted_s": round(uninterrupted, 1),
            "with_kills_s": round(time.monotonic() - began - uninterrupted, 1),
        }
    report("kill", figures)


if __name__ == "__main__":
    main()
