"""The run that is reported on, and the runs beside it.

<runs>/<suite>/
  <run>/predictions.parquet  results.json     <- reported on
  <other>/predictions.parquet  results.json   <- compared with, where it is whole and of the same suite
"""

from __future__ import annotations

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.runs.run_folder import RunFolder, read_run
from sveb.score.align import align
from sveb.score.arrays import FloatArray
from sveb.score.truth import Truth, read_truth
from sveb.suite.suite import Suite


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
    if run.results.truth in ("hidden", "all"):
        raise SvebError(
            f"{run.folder} was scored on a hidden truth, of which a report would show the states: score the run "
            f"without --truth first (`sveb score {run.folder} --suite {suite.path}`)"
        )
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
