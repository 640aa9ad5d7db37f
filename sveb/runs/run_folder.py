"""A run's folder: <run>/predictions.parquet, and <run>/results.json with the scores of these predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sveb.common.errors import SvebError
from sveb.common.files import sha256
from sveb.runs.results import Results

RESULTS, PREDICTIONS = "results.json", "predictions.parquet"


@dataclass(frozen=True)
class RunFolder:
    """A run whose results were computed from exactly its predictions. `name` is the folder's name."""

    name: str
    folder: Path
    results: Results

    @property
    def predictions(self) -> Path:
        """The predictions file that the results were computed from."""
        return self.folder / PREDICTIONS

    @property
    def is_group_mean(self) -> bool:
        """Whether its estimator is the built-in group_mean (zero skill), not a file with that name."""
        estimator = self.results.info.estimator
        return estimator.spec == "group_mean" and estimator.code_sha256 is None


def read_run(path: Path) -> RunFolder:
    """The run at `path`, which is its folder, or the results or predictions file in it.

    Raises `SvebError` if a file is missing or unreadable, or if the results were computed from other predictions.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise SvebError(f"no run at {path}: give a run folder that `sveb eval` wrote, or the {RESULTS} in one")
    if path.is_file() and path.name not in (RESULTS, PREDICTIONS):
        raise SvebError(f"{path} is not a run folder: expected a run folder, or its {RESULTS} or {PREDICTIONS}")
    absent = [name for name in (RESULTS, PREDICTIONS) if not (folder / name).is_file()]
    if absent:
        fix = f"`sveb score {folder}` makes the results" if absent == [RESULTS] else "`sveb eval` writes both"
        raise SvebError(f"{folder} contains no {' and no '.join(absent)}: {fix}")
    results = Results.read(folder / RESULTS)
    if sha256(folder / PREDICTIONS) != results.predictions_sha256:
        raise SvebError(
            f"{folder / RESULTS} was not computed from {folder / PREDICTIONS}: expected sha256 "
            f"{results.predictions_sha256[:12]}..., found another; `sveb score {folder}` scores what is there"
        )
    return RunFolder(folder.resolve().name, folder, results)
