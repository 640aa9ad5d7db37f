"""Runs with several seeds: each is a run of its own, and a killed run trains no finished seed again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sveb
from sveb.common.errors import SvebError
from sveb.evaluation import evaluate
from sveb.harness.run_estimator import run
from sveb.harness.seed_runs import run_seeds
from sveb.runs.predictions import Predictions
from sveb.runs.results import Results
from sveb.suite.suite import Suite
from tests.support.fixtures import WriteEstimator

# A level from the seed, with a mark in the scratch folder and a line in a log for each training.
TRAINED = """
import os
import pathlib
import signal
import numpy as np
import sveb

class Trained(sveb.Estimator):
    "A random level."
    def fit(self, train):
        self.level_ = self.rng.uniform(0.2, 0.8)
        (self.workplace.scratch / "weights").write_text(str(self.level_))
        with open({log!r}, "a") as log:
            log.write("trained\\n")
        stop = pathlib.Path({stop!r})
        if stop.exists() and len(open({log!r}).readlines()) > 2:
            if stop.read_text() == "kill":
                os.kill(os.getppid(), signal.SIGKILL)
            raise RuntimeError("out of memory")

    def predict(self, problem):
        return [self.level_ + s.n_tokens / 100 for s in problem.states]
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def trained(write_estimator: WriteEstimator, tmp_path: Path, log: Path) -> str:
    return write_estimator(TRAINED.format(log=str(log), stop=str(tmp_path / "stop")))


def test_the_values_are_those_of_single_runs_with_one_account(suite: Suite, trained: str, tmp_path: Path) -> None:
    together = Predictions.read(run_seeds(suite, trained, {}, tmp_path / "three", seed=4, seeds=3))
    alone = [Predictions.read(run(suite, trained, {}, tmp_path / f"{seed}", seed=seed)) for seed in (4, 5, 6)]
    np.testing.assert_array_equal(together.by_seed, [each.values for each in alone])
    assert len(np.unique(together.by_seed[:, 0])) == 3
    assert (together.seeds, together.info.estimator) == ([4, 5, 6], alone[0].info.estimator)
    assert together.info.budget == alone[0].info.budget
    assert together.info.cost.tokens_read_per_state == alone[0].info.cost.tokens_read_per_state
    assert {each.name for each in (tmp_path / "three").iterdir()} == {"predictions.parquet"}


def test_one_seed_leaves_the_folder_of_a_run_as_it_was(suite: Suite, trained: str, tmp_path: Path) -> None:
    made = evaluate(suite, trained, {}, tmp_path / "runs", seeds=1)
    names = {"predictions.parquet", "results.json", "estimator.py", "scratch"}
    assert {each.name for each in made.folder.iterdir()} == names
    assert list(Predictions.read(made.predictions).to_pandas().columns) == ["state_id", "value"]
    assert '"schema_version": 2' in (made.folder / "results.json").read_text()


def test_a_killed_run_goes_on_with_the_seed_that_is_missing(
    suite: Suite, trained: str, tmp_path: Path, log: Path
) -> None:
    (tmp_path / "stop").write_text("kill")
    code = "import sys, sveb; sveb.evaluate(sys.argv[1], sys.argv[2], runs=sys.argv[3], seeds=4)"
    command = [sys.executable, "-c", code, trained, str(suite.path), str(tmp_path / "runs")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert log.read_text().count("trained") == 3
    assert not (tmp_path / "runs" / suite.name / "mine").exists()
    (tmp_path / "stop").unlink()
    later = tmp_path / "runs" / suite.name / ".mine.scratch-3"  # of the fourth seed, had it been reached
    later.mkdir()
    # Another number of seeds: those that are there count.
    shown: dict[int, list[tuple[int, int]]] = {}
    made = evaluate(
        suite, trained, {}, tmp_path / "runs", seeds=3,
        progress=lambda seed: lambda *at: shown.setdefault(seed, []).append(at),
    )  # fmt: skip
    assert log.read_text().count("trained") == 4
    assert [len(shown[seed]) for seed in (0, 1)] == [1, 1]
    assert shown[2][-1] == (3, 3)
    levels = [float((made.folder / name / "weights").read_text()) for name in ("scratch", "scratch-1", "scratch-2")]
    np.testing.assert_allclose(Predictions.read(made.predictions).by_seed[:, 0], levels)
    assert [path.name for path in made.folder.parent.iterdir()] == ["mine"]
    assert made.results.n_seeds == 3
    # The run is whole: the next one begins anew.
    again = evaluate(suite, trained, {}, tmp_path / "runs", seeds=3)
    assert log.read_text().count("trained") == 7
    assert again.results.metrics == made.results.metrics


def test_seeds_of_other_code_or_parameters_are_not_taken(suite: Suite, trained: str, tmp_path: Path, log: Path) -> None:
    (tmp_path / "stop").touch()
    with pytest.raises(SvebError, match="out of memory"):
        evaluate(suite, trained, {}, tmp_path / "runs", seeds=3)
    (tmp_path / "stop").unlink()
    Path(trained).write_text(Path(trained).read_text() + "\n# another version\n")
    evaluate(suite, trained, {}, tmp_path / "runs", seeds=2)
    assert log.read_text().count("trained") == 5


def test_an_estimator_without_randomness_has_a_spread_of_0(suite: Suite, tmp_path: Path) -> None:
    from sveb.cli.run_tables import remarks

    one = evaluate(suite, "group_mean", {}, tmp_path / "one").results
    two = evaluate(suite, "group_mean", {}, tmp_path / "two", seeds=2).results
    assert two.by_seed is not None
    assert two.by_seed.seeds == [0, 1]
    assert set(two.by_seed.seed_sd.values()) >= {0.0}
    for name, figure in two.metrics.items():
        mine = one.metrics[name]
        expected = pytest.approx((mine.value, mine.low, mine.high), nan_ok=True, abs=1e-11)
        assert (figure.value, figure.low, figure.high) == expected
    assert any("the scores are the same with all 2 seeds" in line for line in remarks(two, None))


def test_missing_values_of_a_seed_are_replaced_and_counted(
    suite: Suite, write_estimator: WriteEstimator, tmp_path: Path
) -> None:
    some = "[0.5 if problem.rng.random() < 0.8 else float('nan') for _ in problem.states]"
    spec = write_estimator(f"def predict(problem):\n    return {some}")
    with pytest.raises(SvebError, match="NaN or infinite values"):
        evaluate(suite, spec, {}, tmp_path / "runs", seeds=3)
    made = evaluate(suite, spec, {}, tmp_path / "runs", seeds=3, allow_missing=True)
    missing = int(np.isnan(Predictions.read(made.predictions).by_seed).sum())
    assert made.results.counts["missing_predictions"] == missing > 0
    assert Results.read(made.folder / "results.json").to_dict() == made.results.to_dict()


@pytest.mark.parametrize("seeds", [0, -2])
def test_a_number_of_seeds_below_one_is_refused(suite: Suite, tmp_path: Path, seeds: int) -> None:
    with pytest.raises(sveb.SvebError, match=f"{seeds} seeds: expected 1 or more"):
        sveb.evaluate("group_mean", suite, runs=tmp_path / "runs", seeds=seeds)
    assert not list(tmp_path.rglob("results.json"))


def test_the_public_function_compares_runs_of_several_seeds(suite: Suite, trained: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    three = sveb.evaluate(
        trained, suite, runs=tmp_path / "a", seeds=3, progress=lambda done, total: calls.append((done, total))
    )
    one = sveb.evaluate(trained, suite, runs=tmp_path / "b")
    assert calls[-1] == (3, 3)
    assert sveb.score_predictions(three.folder, suite).to_dict() == three.results.to_dict()
    group_mean = sveb.evaluate("group_mean", suite, runs=tmp_path / "c")
    wide, narrow = (sveb.compare([run, group_mean], suite).to_pandas() for run in (three, one))
    width = [frame["mse_difference_high"] - frame["mse_difference_low"] for frame in (wide, narrow)]
    assert width[0]["group_mean"] > width[1]["group_mean"]
