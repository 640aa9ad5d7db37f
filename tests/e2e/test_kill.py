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

KILLS = {"loading": 1, "rollouts": 2, "siblings": 1, "draws": 2, "truth": 3, "packaging": 2}
SIZE = ("--test-problems", 6, "--train-problems", 4, "--continuations", 16, "--draws", 16)


@pytest.fixture(scope="module")
def whole(warm: WarmCli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite of an uninterrupted run with one engine, in the command's own process."""
    require_package("vllm")
    folder = tmp_path_factory.mktemp("a")
    run = warm.start(arguments(folder / "suite", SIZE), folder / "log", OFTEN)
    assert run.wait() == 0, run.said()
    return folder / "suite"


@pytest.mark.timeout(900)
def test_eleven_kills_end_with_the_units_and_bytes_of_an_uninterrupted_run(
    warm: WarmCli, whole: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "suite"

    def start(out: Path) -> Run:
        return warm.start(arguments(out, SIZE), tmp_path / "log", OFTEN)

    fallen, faults = kill_often(start, killed, KILLS, random.Random(0))
    assert faults == []
    assert fallen.total() >= 9, f"the kills came too late: {fallen}"
    assert set(fallen) == set(KILLS), f"a stage was never interrupted: {fallen}"
    assert compare(whole, killed) == []


def test_two_engine_processes_make_the_same_suite_though_one_of_them_and_then_the_command_are_killed(
    warm: WarmCli, whole: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "suite", tmp_path / "log"

    def start() -> Run:
        return warm.start(arguments(out, SIZE, workers=2), log, OFTEN)

    run = start()
    assert run.wait_until(lambda: units_of(out)["rollouts"], pause_s=0.02), run.said()
    engines = engine_processes(run.pid)
    os.kill(engines[0], signal.SIGKILL)
    assert run.wait_until(lambda: units_of(out)["truth"], pause_s=0.02), run.said()
    assert "an engine process was killed by SIGKILL" in run.said()
    engines += engine_processes(run.pid)
    run.kill(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    last = start()
    assert last.wait() == 0, last.said()
    assert compare(whole, out) == []
    assert not [pid for pid in engines if Path(f"/proc/{pid}").exists()]


def test_ctrl_c_ends_a_command_of_two_engine_processes_and_it_continues(
    warm: WarmCli, whole: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "suite", tmp_path / "log"
    run = warm.start(arguments(out, SIZE, workers=2), log, OFTEN)
    assert run.wait_until(lambda: units_of(out)["rollouts"], pause_s=0.02), run.said()
    engines = engine_processes(run.pid)
    assert len(engines) == 2
    run.interrupt(signal.SIGINT)
    assert run.wait() == 130, run.said()
    assert "to continue:" in run.said()
    assert "Traceback" not in run.said()
    assert not [pid for pid in engines if Path(f"/proc/{pid}").exists()]
    # One engine continues what two began: a plan does not name their number.
    last = warm.start(arguments(out, SIZE, workers=1), log, OFTEN)
    assert last.wait() == 0, last.said()
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
