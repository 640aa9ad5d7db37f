"""`kill -9` at any moment: what is finished stays, what was in flight is done again, and the suite is the same."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from bench.kill import OFTEN, arguments, compare, engine_processes, kill_often, units_of
from bench.warm_cli import Run, WarmCli
from tests.support.needs import require_package

KILLS = {"loading": 1, "rollouts": 1, "siblings": 1, "draws": 1, "truth": 2, "packaging": 1}
SIZE = ("--test-problems", 6, "--train-problems", 4, "--continuations", 12, "--draws", 6, "--audit", 2)
# The moments it gives: after one part or two, while one is being written, and before the last of the suite's files.
MOMENTS = 36


@pytest.fixture(scope="module")
def whole(warm: WarmCli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite of an uninterrupted run with one engine, in the command's own process."""
    require_package("vllm")
    folder = tmp_path_factory.mktemp("a")
    run = warm.start(arguments(folder / "suite", SIZE), folder / "log", OFTEN)
    assert run.wait() == 0, run.said()
    return folder / "suite"


@pytest.mark.timeout(900)
def test_kills_in_every_stage_end_with_the_units_and_bytes_of_an_uninterrupted_run(
    warm: WarmCli, whole: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "suite"

    def start(out: Path) -> Run:
        return warm.start(arguments(out, SIZE), tmp_path / "log", OFTEN)

    fallen, faults = kill_often(start, killed, KILLS, random.Random(MOMENTS))
    assert faults == []
    assert set(fallen) == set(KILLS), f"a stage was never interrupted: {fallen}"
    assert compare(whole, killed) == []


def test_two_engine_processes_make_the_same_suite_through_a_kill_and_ctrl_c(
    warm: WarmCli, whole: Path, tmp_path: Path
) -> None:
    """That they end when the command is killed is tested in tests/policies/test_workers.py."""
    out = tmp_path / "suite"

    def start(workers: int) -> Run:
        return warm.start(arguments(out, SIZE, workers), tmp_path / f"log-{workers}", OFTEN)

    # One of them is killed, and another takes its place.
    run = start(2)
    assert run.wait_until(lambda: units_of(out)["rollouts"], pause_s=0.02), run.said()
    engines = engine_processes(run.pid)
    assert len(engines) == 2
    os.kill(engines[0], signal.SIGKILL)
    assert run.wait_until(lambda: units_of(out)["truth"], pause_s=0.02), run.said()
    assert "an engine process was killed by SIGKILL" in run.said()
    engines += engine_processes(run.pid)
    run.interrupt(signal.SIGINT)
    assert run.wait() == 130, run.said()
    assert "to continue:" in run.said()
    assert "Traceback" not in run.said()
    assert not any(Path(f"/proc/{pid}").exists() for pid in engines)

    # One engine continues what two began: a plan does not name their number.
    run = start(1)
    assert run.wait() == 0, run.said()
    assert compare(whole, out) == []


def test_two_runs_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    from sveb.common.errors import SvebError
    from sveb.generate.unit_store import Store

    with (
        Store(tmp_path, {"seed": 1}),
        pytest.raises(SvebError, match="another process is writing"),
        Store(tmp_path, {"seed": 1}),
    ):
        pass


def test_unfinished_work_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    from sveb.common.errors import SvebError
    from sveb.generate.unit_store import Store

    with Store(tmp_path, {"seed": 1, "counts": {"group": 16}}):
        pass
    with (
        pytest.raises(SvebError, match=r"counts\.group: 16 in the folder, 32 asked for"),
        Store(tmp_path, {"seed": 1, "counts": {"group": 32}}),
    ):
        pass
    with Store(tmp_path, {"seed": 1, "counts": {"group": 16}}):
        pass  # its own settings continue
