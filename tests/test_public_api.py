"""The names of `sveb` itself: what a script or a notebook calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sveb
from sveb.estimators.group_mean import GroupMean
from sveb.estimators.mc import MC
from sveb.runs.predictions import Predictions
from sveb.runs.run_folder import RunFolder
from tests.support.fixtures import BuildSuite


class Steps(sveb.Estimator):
    """The more steps, the better."""

    def __init__(self, slope: float = 0.1):
        self.slope = slope

    def predict(self, problem: sveb.Problem) -> list[float]:
        return [min(1.0, self.slope * state.step_index) for state in problem.states]


@pytest.fixture
def suite(build_suite: BuildSuite) -> sveb.Suite:
    return build_suite(n_test=6)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def values(run: RunFolder) -> np.ndarray:
    return Predictions.read(run.predictions).to_pandas()["value"].to_numpy()


def test_every_public_name_is_there_and_the_package_is_typed() -> None:
    for name in sveb.__all__:
        assert getattr(sveb, name) is not None
    assert set(sveb.__all__) <= set(dir(sveb)) | set(sveb._HOMES)
    assert (Path(sveb.__file__).parent / "py.typed").is_file()


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sveb, sys; sveb.Estimator; print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        sveb.nothing_like_it  # noqa: B018 - the access is what is tested


def test_an_estimator_can_be_a_name_a_class_or_an_instance(suite: sveb.Suite, runs: Path) -> None:
    named = sveb.evaluate("mc", suite, {"k": 2}, runs=runs / "a")
    by_class = sveb.evaluate(MC, suite, {"k": 2}, runs=runs / "b")
    instance = sveb.evaluate(MC(k=2), suite, runs=runs / "c")
    assert named.name == by_class.name == instance.name == "mc-k=2"
    np.testing.assert_array_equal(values(named), values(by_class))
    np.testing.assert_array_equal(values(named), values(instance))


def test_a_class_in_a_file_runs_from_that_file(suite: sveb.Suite, runs: Path) -> None:
    by_default = sveb.evaluate(Steps, suite, runs=runs)
    changed = sveb.evaluate(Steps(slope=0.3), suite.path, runs=runs)
    assert (by_default.name, changed.name) == ("test_public_api.Steps", "test_public_api.Steps-slope=0.3")
    assert changed.results.info.estimator.params == {"slope": 0.3}
    np.testing.assert_allclose(values(changed), 3 * values(by_default))


def test_a_class_without_a_file_is_refused_with_what_to_do(suite: sveb.Suite, runs: Path) -> None:
    scope: dict[str, type[sveb.Estimator]] = {}
    exec("import sveb\nclass Cell(sveb.Estimator):\n    def predict(self, problem):\n        return 0.5\n", scope)
    with pytest.raises(sveb.SvebError, match=r"Cell is not defined in a file.*%%writefile"):
        sveb.evaluate(scope["Cell"], suite, runs=runs)
    with pytest.raises(sveb.SvebError, match="int is not an estimator"):
        sveb.evaluate(int, suite, runs=runs)  # type: ignore[arg-type]
    with pytest.raises(sveb.SvebError, match="is an instance and has its parameters"):
        sveb.evaluate(Steps(slope=0.2), suite, {"slope": 0.3}, runs=runs)
    assert not runs.exists()


def test_scoring_again_gives_the_results_of_the_run(suite: sveb.Suite, runs: Path) -> None:
    run = sveb.evaluate(GroupMean, suite, runs=runs)
    for predictions in (run.folder, run.predictions):
        assert sveb.score_predictions(predictions, suite).to_dict() == run.results.to_dict()


def test_results_are_a_frame_with_a_row_for_each_metric(suite: sveb.Suite, runs: Path) -> None:
    results = sveb.evaluate("group_mean", suite, runs=runs).results
    frame = results.to_pandas()
    assert list(frame.columns) == ["value", "low", "high", "note"]
    assert list(frame.index) == list(results.metrics)
    assert frame.loc["mse", "value"] == results.metrics["mse"].value
    for part in results.slices:
        assert list(part.to_pandas().index) == list(part.metrics)


def test_runs_are_compared_in_one_frame(suite: sveb.Suite, runs: Path) -> None:
    first = sveb.evaluate("group_mean", suite, runs=runs)
    other = sveb.evaluate(Steps, suite, runs=runs)
    frame = sveb.compare([first, other.folder], suite).to_pandas()
    assert set(frame.index) == {"group_mean", other.name}
    assert np.isnan(frame.loc["group_mean", "mse_difference"])
    expected = frame.loc["group_mean", "mse"] - frame.loc[other.name, "mse"]
    assert frame.loc[other.name, "mse_difference"] == pytest.approx(expected)
    assert (frame["rank_low"] <= frame["rank_high"]).all()
    assert isinstance(frame, pd.DataFrame)


def test_compare_needs_two_different_runs(suite: sveb.Suite, runs: Path) -> None:
    run = sveb.evaluate("group_mean", suite, runs=runs)
    with pytest.raises(sveb.SvebError, match="at least two"):
        sveb.compare([run], suite)
    with pytest.raises(sveb.SvebError, match="at least two"):
        sveb.compare(str(run.folder), suite)  # type: ignore[arg-type]
    with pytest.raises(sveb.SvebError, match="given 2 times"):
        sveb.compare([run, run], suite)


def test_predictions_of_a_suite_that_is_not_here_say_so(suite: sveb.Suite, runs: Path) -> None:
    run = sveb.evaluate("group_mean", suite, runs=runs)
    with pytest.raises(sveb.SvebError, match="which is not here"):
        sveb.score_predictions(run.folder)
    with pytest.raises(sveb.SvebError, match="expected a predictions file"):
        sveb.score_predictions(runs / "nothing")
