"""The run that is reported on, and the runs beside it.

<runs>/<suite>/
  <run>/predictions.parquet  results.json     <- reported on
  <other>/predictions.parquet  results.json   <- compared with, where it is whole and of the same suite
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sveb.core.errors import SvebError
from sveb.core.files import sha256
from sveb.core.predictions import Predictions
from sveb.core.results import Results
from sveb.core.suite import Suite
from sveb.score.align import align
from sveb.score.arrays import FloatArray
from sveb.score.truth import Truth, read_truth

RESULTS, PREDICTIONS = "results.json", "predictions.parquet"


@dataclass(frozen=True)
class RunFolder:
    """A run whose results are those of its predictions, to the byte. `name` is the folder's."""

    name: str
    folder: Path
    results: Results

    @property
    def predictions(self) -> Path:
        """The predictions file that the results were computed from."""
        return self.folder / PREDICTIONS

    @property
    def is_group_mean(self) -> bool:
        """The built-in that is the zero of skill, rather than a file of that name."""
        estimator = self.results.info.estimator
        return estimator.spec == "group_mean" and estimator.code_sha256 is None


def read_run(path: Path) -> RunFolder:
    """The run at `path`: its folder, or the results or the predictions in it.

    Raises `SvebError` where either file is missing or unreadable, or where the results are of other predictions.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise SvebError(f"no run at {path}: give a run folder that `sveb eval` has left, or the {RESULTS} in one")
    if path.is_file() and path.name not in (RESULTS, PREDICTIONS):
        raise SvebError(f"{path} is no run: expected a run folder, or its {RESULTS} or {PREDICTIONS}")
    absent = [name for name in (RESULTS, PREDICTIONS) if not (folder / name).is_file()]
    if absent:
        mend = f"`sveb score {folder}` makes the results" if absent == [RESULTS] else "`sveb eval` leaves both"
        raise SvebError(f"{folder} holds no {' and no '.join(absent)}: {mend}")
    results = Results.read(folder / RESULTS)
    if sha256(folder / PREDICTIONS) != results.predictions_sha256:
        raise SvebError(
            f"{folder / RESULTS} was not computed from {folder / PREDICTIONS}: expected sha256 "
            f"{results.predictions_sha256[:12]}..., found another; `sveb score {folder}` scores what is there"
        )
    return RunFolder(folder.resolve().name, folder, results)


def open_suite(run: RunFolder, named: str | None) -> Suite:
    """The suite that `run` was scored on: the one named, else the one that its results name.

    Raises `SvebError` where it is not here, or is not the same to the byte.
    """
    made_for = run.results.info.suite
    try:
        suite = Suite.open(named if named is not None else made_for.name)
    except SvebError as error:
        if named is not None:
            raise
        raise SvebError(
            f"{run.folder} was scored on the suite {made_for.name!r}, which is not here: give its folder with --suite"
        ) from error
    if suite.checksum != made_for.checksum:
        raise SvebError(
            f"{run.folder} was scored on another suite: {made_for.name} {made_for.version} (manifest "
            f"{made_for.checksum[:12]}), this is {suite.name} {suite.manifest.version} (manifest "
            f"{suite.checksum[:12]}); give the folder of the former with --suite, or run `sveb eval` on the latter"
        )
    return suite


def read_values(run: RunFolder, suite: Suite) -> tuple[Truth, FloatArray]:
    """The suite's truth and the run's predictions (n,) in its order; missing ones replaced if the scorer did so."""
    truth = read_truth(suite)
    replaced = run.results.counts.get("missing_predictions", 0) > 0
    values, _ = align(Predictions.read(run.predictions), truth, suite, run.predictions, allow_missing=replaced)
    return truth, values


def beside(run: RunFolder) -> list[RunFolder]:
    """The other runs in the same folder that were scored on the same suite, by name.

    One that is broken or of another suite is left out: it is no part of this run.
    """
    found = []
    for folder in sorted(run.folder.resolve().parent.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir() or folder == run.folder.resolve():
            continue
        try:
            other = read_run(folder)
        except (SvebError, OSError):
            continue
        if other.results.info.suite.checksum == run.results.info.suite.checksum:
            found.append(other)
    return found
