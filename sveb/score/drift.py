"""How a fresh truth changes scores: the same predictions on two versions of a suite with the same inputs.

Both truths are unbiased and independent of an honest estimator, so its corrected mse changes only by chance. An
estimator that was fitted to the draws of the old truth gets worse: predicting the old means gives an mse of
-noise_floor on the old truth and +noise_floor on the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sveb.common.errors import SvebError
from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate
from sveb.score.alarms import THRESHOLD
from sveb.score.align import align
from sveb.score.arrays import FloatArray, IntArray, sum_by
from sveb.score.bootstrap import Resamples, estimate, resample, resampled_sums
from sveb.score.metrics import ratio
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.seed_spread import estimate_over_seeds
from sveb.score.truth import Truth, read_truth
from sveb.suite.suite import Suite

_SINGLE = "some states have a single graded continuation: the truth's noise is unknown"


@dataclass(frozen=True)
class EntryDrift:
    """One entry's mse and rank interval on the old and the new truth, with 95 % intervals over problems.

    `change` is new mse - old mse, paired by problem; `z` is `change` in standard errors, clustered by problem.
    """

    name: str
    old: Estimate
    new: Estimate
    change: Estimate
    z: float
    old_rank: tuple[int, int]
    new_rank: tuple[int, int]

    @property
    def overfits(self) -> bool:
        """Whether the mse grew more on the new truth than by chance. The threshold is that of the alarms."""
        return self.z > THRESHOLD


@dataclass(frozen=True, eq=False)
class Drift:
    """All entries, best on the new truth first. `value` is the mean of new - old true values over path states.

    `spread` is the mean squared difference of the two truths, divided by its expectation from sampling noise alone: 1
    if both were drawn with the same policy.
    """

    entries: list[EntryDrift]
    value: Estimate
    spread: Estimate


def drift(old: Suite, new: Suite, predictions: Mapping[str, Path]) -> Drift:
    """Scores predictions, made for `old`, on both truths. Missing values are replaced with the training mean.

    Raises SvebError if the suites differ in more than their truth, or if a file was made for another suite.
    """
    _check_inputs(old, new)
    before, after = read_truth(old), read_truth(new)
    rows = np.intersect1d(before.rows("path"), after.rows("path"))
    if not len(rows):
        raise SvebError(f"{old.name} has no path states with a truth in both versions: nothing can drift")
    resamples = resample(len(before.problem_ids))
    values = {
        name: align(Predictions.read(path), before, old, path, allow_missing=True)[0]
        for name, path in predictions.items()
    }
    entries = []
    if values:
        ranks = [rank_values(truth, values, resamples) for truth in (before, after)]
        entries = [_entry(name, ranks, before, after, values[name], rows, resamples) for name in ranks[1].names]
    moved, noise = after.mean[rows] - before.mean[rows], after.noise[rows] + before.noise[rows]
    s = _sums(before, rows, {"n": np.ones(len(rows)), "moved": moved, "moved2": moved**2, "noise": noise}, resamples)
    reason = _SINGLE if np.isnan(noise).any() else "neither truth has any noise"
    return Drift(
        entries,
        estimate(ratio(s["moved"], s["n"]), resamples, "no problem was drawn"),
        estimate(ratio(s["moved2"], s["noise"]), resamples, reason),
    )


def _entry(
    name: str, ranks: list[Ranking], before: Truth, after: Truth, values: FloatArray, rows: IntArray,
    resamples: Resamples,
) -> EntryDrift:  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        old, new = ((np.atleast_2d(values)[:, rows] - t.mean[rows]) ** 2 - t.noise[rows] for t in (before, after))
        sums = [
            _sums(
                before,
                rows,
                {"n": np.ones(len(rows)), "old": of_old, "new": of_new, "change": of_new - of_old},
                resamples,
            )
            for of_old, of_new in zip(old, new, strict=True)
        ]
        by_problem = sum_by(before.problem[rows], len(before.problem_ids), (new - old).mean(axis=0))
        deviation = float(np.sqrt((by_problem**2).sum()))
    reason = _SINGLE if np.isnan(new - old).any() else "predictions overflow double precision"
    first, second, change = (
        estimate_over_seeds(np.stack([ratio(s[key], s["n"]) for s in sums]), resamples, reason)
        for key in ("old", "new", "change")
    )
    z = float(by_problem.sum() / deviation) if np.isfinite(deviation) and deviation > 0 else 0.0
    return EntryDrift(name, first, second, change, z, _rank(ranks[0], name), _rank(ranks[1], name))


def _sums(truth: Truth, rows: IntArray, terms: Mapping[str, FloatArray], resamples: Resamples) -> dict[str, FloatArray]:
    problem, size = truth.problem[rows], len(truth.problem_ids)
    return resampled_sums({name: sum_by(problem, size, term) for name, term in terms.items()}, resamples)


def _rank(ranking: Ranking, name: str) -> tuple[int, int]:
    place = ranking.names.index(name)
    return int(ranking.rank_low[place]), int(ranking.rank_high[place])


def _check_inputs(old: Suite, new: Suite) -> None:
    differing = [
        file
        for file in sorted(old.manifest.files.keys() | new.manifest.files.keys())
        if file not in ("truth.parquet", "audit.parquet")
        and old.manifest.files.get(file, {}).get("sha256") != new.manifest.files.get(file, {}).get("sha256")
    ]
    if differing:
        raise SvebError(
            f"{old.path} and {new.path} differ in {', '.join(differing)}, not in their truth alone: predictions for "
            "one cannot be scored on the other"
        )
