"""What tests of several rooms ask for: a small suite, an estimator's file, a run's values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sveb.harness.run_estimator import run
from sveb.suite.suite import Suite
from tests.support.suites import tiny

BuildSuite = Callable[..., Suite]
WriteEstimator = Callable[..., str]
Values = Callable[..., dict[str, float]]


@pytest.fixture
def build_suite(tmp_path: Path) -> BuildSuite:
    """Builds a suite of `n_test` problems with five states each and `n_train` training problems."""
    return lambda n_test=3, n_train=4, folder="suite": tiny(tmp_path / folder, n_test, n_train)


@pytest.fixture
def suite(build_suite: BuildSuite) -> Suite:
    return build_suite()


@pytest.fixture
def write_estimator(tmp_path: Path) -> WriteEstimator:
    """Writes an estimator file and gives its path."""

    def write(source: str, name: str = "mine.py") -> str:
        path = tmp_path / "code" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        return str(path)

    return write


@pytest.fixture
def values(tmp_path: Path) -> Values:
    """Runs an estimator and gives its predictions by state id."""

    def evaluate(
        suite: Suite, spec: str, params: dict[str, object] | None = None, **options: object
    ) -> dict[str, float]:
        from sveb.runs.predictions import Predictions

        path = run(suite, spec, params or {}, tmp_path / "out", **options)
        predictions = Predictions.read(path)
        return dict(zip(predictions.state_ids, predictions.values.tolist(), strict=True))

    return evaluate
