"""Estimators on one suite: paired differences on the same resamples, and their ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sveb.runs.predictions import Predictions
from sveb.runs.results import Estimate
from sveb.score.align import align
from sveb.score.arrays import FloatArray, sum_by
from sveb.score.bootstrap import estimate, resample, resampled_sums, undefined
from sveb.score.metrics import ratio
from sveb.score.rank_intervals import Ranking, rank_values
from sveb.score.score import evaluate, unmet_needs
from sveb.score.truth import Truth, read_truth
from sveb.suite.private_truth import Private
from sveb.suite.suite import Suite


@dataclass(frozen=True)
class Comparison:
    """Differences a - b with 95 % intervals: `mse` below zero and `skill` above it say that `a` is better.

    The truth's noise is in both errors alike, so that the difference in mse needs no correction for it.
    """

    a: str
    b: str
    mse: Estimate
    skill: Estimate

    @property
    def verdict(self) -> str:
        """One line: better, worse or not separated, by how much, with the interval."""
        metric, sign = ("skill", 1) if np.isfinite(self.skill.value) else ("mse", -1)
        difference = self.skill if sign == 1 else self.mse
        if not np.isfinite(difference.value):
            return f"{self.a} and {self.b} cannot be compared: {difference.note}"
        if not (np.isfinite(difference.low) and np.isfinite(difference.high)):
            return (
                f"{self.a} against {self.b}: {metric} {difference.value:+.3f} without an interval ({difference.note})"
            )
        interval = f"95 % interval {difference.low:+.3f} to {difference.high:+.3f}"
        if difference.low <= 0 <= difference.high:
            return f"{self.a} is not separated from {self.b}: {metric} {difference.value:+.3f} ({interval})"
        word = "better" if sign * difference.value > 0 else "worse"
        return f"{self.a} is {word} than {self.b}: {metric} {difference.value:+.3f} ({interval})"


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Several entries side by side: `metrics` of each by name, `against` the first each of the others, and ranks."""

    metrics: dict[str, dict[str, Estimate]]
    against: list[Comparison]
    ranking: Ranking


def compare(
    suite: Suite,
    a_predictions: Path,
    b_predictions: Path,
    *,
    allow_missing: bool = False,
    private: Private | None = None,
) -> Comparison:
    """Paired difference a - b in mse and skill over path states, on the same problem-clustered resamples.

    `private` is `score`'s. Raises `SvebError` where either file cannot be scored, as `score` does.
    """
    truth = read_truth(suite, private)
    files = [Predictions.read(path) for path in (a_predictions, b_predictions)]
    paths = (a_predictions, b_predictions)
    a, b = (align(f, truth, suite, p, allow_missing=allow_missing)[0] for f, p in zip(files, paths, strict=True))
    mse, skill = paired_differences(truth, a, b)
    return Comparison(files[0].info.estimator.name, files[1].info.estimator.name, mse, skill)


def compare_all(suite: Suite, predictions: Mapping[str, Path], *, allow_missing: bool = False) -> Comparisons:
    """The first of two or more predictions files against each other one, and the ranks of all.

    Raises `SvebError` where a file cannot be scored, as `score` does.
    """
    truth = read_truth(suite)
    resamples = resample(len(truth.problem_ids))
    values, metrics = {}, {}
    for name, path in predictions.items():
        values[name], given = align(Predictions.read(path), truth, suite, path, allow_missing=allow_missing)
        metrics[name] = evaluate(truth, values[name], given, resamples)
    first, *others = values
    against = [Comparison(first, other, *paired_differences(truth, values[first], values[other])) for other in others]
    return Comparisons(metrics, against, rank_values(truth, values, resamples))


def paired_differences(truth: Truth, a: FloatArray, b: FloatArray) -> tuple[Estimate, Estimate]:
    """mse(a) - mse(b) and skill(a) - skill(b) of values (n,) in the truth's order, with paired 95 % intervals."""
    rows, size = truth.rows("path"), len(truth.problem_ids)
    unmet = unmet_needs(truth)
    if "path" in unmet:
        return undefined(unmet["path"]), undefined(unmet["path"])
    g, noise, problem = truth.mean[rows], truth.noise[rows], truth.problem[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        terms = {
            "n": np.ones(len(rows)),
            "gap": (a[rows] - g) ** 2 - (b[rows] - g) ** 2,
            "group": (truth.group_mean[problem] - g) ** 2 - noise,
        }
    statistics = {name: sum_by(problem, size, term) for name, term in terms.items()}
    resamples = resample(size)
    s = resampled_sums(statistics, resamples)
    mse = estimate(ratio(s["gap"], s["n"]), resamples, "predictions overflow double precision")
    for need in ("noise", "context"):
        if need in unmet:
            return mse, undefined(unmet[need])
    return mse, estimate(-ratio(s["gap"], s["group"]), resamples, "the group mean's mse is not above zero")
