"""Checks predictions and puts them in the truth's order: this suite, every state once, one finite value each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sveb.common.errors import SvebError
from sveb.common.text import first_few
from sveb.runs.predictions import Predictions
from sveb.score.arrays import BoolArray, FloatArray
from sveb.score.truth import Truth
from sveb.suite.suite import Suite

_SHOWN = 5


def align(
    predictions: Predictions, truth: Truth, suite: Suite, path: Path, *, allow_missing: bool = False
) -> tuple[FloatArray, BoolArray]:
    """Values (n,) in the truth's order, all finite, and which of them (n,) the estimator gave itself.

    Both are (S, n) for a run with S > 1 seeds.

    Every state of the suite must be predicted, also the states of a split suite that this truth does not score.

    With `allow_missing`, a state without a finite value gets the mean return of the training rollouts; no state is
    ever dropped. Raises one `SvebError` that lists everything that is wrong with the file at `path`: another suite,
    repeated states, unknown states and (without `allow_missing`) missing or non-finite values.
    """
    ids = pd.Index(predictions.state_ids, dtype=object)
    known = [*truth.state_ids, *truth.unscored]
    position = ids.drop_duplicates().get_indexer(pd.Index(known, dtype=object))
    absent = position < 0
    stored = predictions.by_seed if predictions.further else predictions.values
    first_values = stored[..., ~ids.duplicated()]
    nothing = np.full((*stored.shape[:-1], len(position)), np.nan)
    values = np.where(absent, np.nan, first_values[..., position]) if first_values.size else nothing
    given = np.isfinite(values)
    names = np.array(known, dtype=object)

    problems = _suite_problem(predictions, suite)
    problems += _listed("states are predicted more than once", ids[ids.duplicated()].unique().tolist())
    problems += _listed("state ids are unknown to the suite", ids.unique().difference(known, sort=False).tolist())
    if not allow_missing:
        problems += _listed("states have no value", names[np.atleast_2d(np.isnan(values)).any(axis=0)].tolist())
        problems += _listed("values are not finite", names[np.atleast_2d(np.isinf(values)).any(axis=0)].tolist())
    if problems:
        hint = "predict every state of the suite once, with a finite value"
        if not allow_missing and not given.all():
            hint += "; --allow-missing replaces missing values with the training mean"
        raise SvebError(f"{path} cannot be scored on {suite.name}:\n  " + "\n  ".join(problems) + f"\n{hint}")
    values, given = values[..., : len(truth.state_ids)], given[..., : len(truth.state_ids)]
    if not given.all():
        values = np.where(given, values, _training_mean(suite))
    return values, given


def _listed(what: str, ids: Sequence[object]) -> list[str]:
    if not ids:
        return []
    return [f"{len(ids)} {what}: {first_few(ids, _SHOWN)}"]


def _suite_problem(predictions: Predictions, suite: Suite) -> list[str]:
    made_for = predictions.info.suite
    if made_for.checksum == suite.checksum:
        return []
    return [
        f"it was made for another suite: {made_for.name} {made_for.version} (manifest {made_for.checksum[:12]}), "
        f"this is {suite.name} {suite.manifest.version} (manifest {suite.checksum[:12]}); run the estimator on it"
    ]


def _training_mean(suite: Suite) -> float:
    mean = suite.rollouts("train", columns=["return_"])["return_"].astype("float64").mean()
    if np.isnan(mean):
        raise SvebError(
            f"{suite.path} has no graded training rollouts, so there is no mean to replace missing values: "
            "predict every state"
        )
    return float(mean)
