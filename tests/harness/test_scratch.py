"""An estimator's scratch folder: found again after a run that failed, kept with one that ends."""

from pathlib import Path

import pytest

from sveb.common.errors import SvebError
from sveb.evaluation import evaluate

SOURCE = """
from sveb import Estimator

class Learner(Estimator):
    def fit(self, train):
        notes = self.workplace.scratch / "notes"
        before = notes.read_text() if notes.exists() else ""
        notes.write_text(before + "fit ")
        if not before:
            raise ValueError("killed")

    def predict(self, problem):
        return [0.5] * len(problem.states)
"""


def test_a_run_that_failed_leaves_its_scratch_folder_to_the_next(suite, write_estimator, tmp_path: Path) -> None:
    spec = write_estimator(SOURCE)
    with pytest.raises(SvebError, match="killed"):
        evaluate(suite, spec, {}, tmp_path / "runs")
    run = evaluate(suite, spec, {}, tmp_path / "runs")
    assert (run.folder / "scratch" / "notes").read_text() == "fit fit "
    assert [path.name for path in run.folder.parent.iterdir()] == ["mine"]


def test_a_run_that_wrote_nothing_there_has_none(suite, write_estimator, tmp_path: Path) -> None:
    spec = write_estimator("def predict(problem):\n    return [0.5] * len(problem.states)\n")
    run = evaluate(suite, spec, {}, tmp_path)
    assert sorted(path.name for path in run.folder.iterdir()) == ["estimator.py", "predictions.parquet", "results.json"]
    assert [path.name for path in run.folder.parent.iterdir()] == ["mine"]
