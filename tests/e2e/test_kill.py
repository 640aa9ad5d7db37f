"""`kill -9` at any moment: what is finished stays, what was in flight is done again, and the suite is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sveb.core.suite import Suite
from sveb.core.verify import verify

pytest.importorskip("vllm")

FILES = ("problems", "rollouts", "states", "draws", "truth")
COMMAND = [
    sys.executable, "-m", "sveb.cli", "generate", "--model", "nano", "--size", "demo", "--test-problems", "8",
    "--train-problems", "5", "--continuations", "24", "--engine", "vllm", "--out",
]  # fmt: skip


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_kills_end_with_the_units_and_bytes_of_an_uninterrupted_run(tmp_path: Path) -> None:
    whole, killed = tmp_path / "a" / "suite", tmp_path / "b" / "suite"
    process = start(whole)
    began = time.monotonic()
    while not (whole / "work" / "rollouts").exists() and process.poll() is None:
        time.sleep(0.05)
    loading = time.monotonic() - began
    assert process.wait(timeout=300) == 0, process.stderr and process.stderr.read()
    working = time.monotonic() - began - loading

    choose = random.Random(0)
    kills, seen = 0, set()
    while kills < 10:
        process = start(killed)
        # Most kills after the engine is up: within the work, or while parts are written.
        time.sleep(choose.uniform(0.3, 1.0) * loading if kills % 5 == 0 else loading + choose.uniform(0, working / 2))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        for stage in ("rollouts", "siblings", "truth", "draws"):
            units = [
                (row["unit_id"], row["chunk"])
                for part in sorted((killed / "work" / stage).glob("[0-9]*.parquet"))
                for row in pq.read_table(part, columns=["unit_id", "chunk"]).to_pylist()
            ]
            assert len(units) == len(set(units)), f"a unit stands twice in {stage}"
            seen.add((stage, len(units)))
    assert kills == 10 or (killed / "manifest.json").exists()
    if not (killed / "manifest.json").exists():
        process = start(killed)
        assert process.wait(timeout=300) == 0, process.stderr and process.stderr.read()

    assert len(seen) > 3, "the kills all fell before any work"
    suites = [Suite.open(whole), Suite.open(killed)]
    assert [verify(suite) for suite in suites] == [[], []]
    assert suites[0].checksum == suites[1].checksum
    for name in FILES:
        assert (whole / f"{name}.parquet").read_bytes() == (killed / f"{name}.parquet").read_bytes(), name
    assert not (killed / "work").exists()


def test_two_runs_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    from sveb.core.errors import SvebError
    from sveb.generate.store import Store

    with (
        Store(tmp_path, {"seed": 1}),
        pytest.raises(SvebError, match="another `sveb generate` is writing"),
        Store(tmp_path, {"seed": 1}),
    ):
        pass


def test_unfinished_work_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    from sveb.core.errors import SvebError
    from sveb.generate.store import Store

    with Store(tmp_path, {"seed": 1, "counts": {"group": 16}}):
        pass
    with (
        pytest.raises(SvebError, match=r"counts\.group: 16 in the folder, 32 asked for"),
        Store(tmp_path, {"seed": 1, "counts": {"group": 32}}),
    ):
        pass
    with Store(tmp_path, {"seed": 1, "counts": {"group": 16}}):
        pass  # its own settings continue
