"""`kill -9` at any moment: what is finished stays, what was in flight is done again, and the suite is the same."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench.kill import OFTEN, arguments, compare, kill_often
from bench.warm_cli import VLLM, Run, WarmCli
from tests.support.needs import require_package

KILLS = {"loading": 1, "rollouts": 3, "siblings": 1, "draws": 3, "truth": 4, "packaging": 3}
SIZE = ("--test-problems", 6, "--train-problems", 4, "--continuations", 16, "--draws", 16)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifteen_kills_end_with_the_units_and_bytes_of_an_uninterrupted_run(tmp_path: Path) -> None:
    require_package("vllm")
    whole, killed = tmp_path / "a" / "suite", tmp_path / "b" / "suite"
    with WarmCli(VLLM) as warm:

        def start(out: Path) -> Run:
            return warm.start(arguments(out, SIZE), tmp_path / "log", OFTEN)

        run = start(whole)
        assert run.wait() == 0, run.said()
        fallen, faults = kill_often(start, killed, KILLS, random.Random(0))
    assert faults == []
    assert fallen.total() >= 12, f"the kills came too late: {fallen}"
    assert set(fallen) == set(KILLS), f"a stage was never interrupted: {fallen}"
    assert compare(whole, killed) == []


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
